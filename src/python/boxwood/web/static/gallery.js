// A grid of many pictures of which some are chosen: only the rows in sight exist. With the mouse or the keyboard.

import { h, note } from "./dom.js";
import { openMenu } from "./menu.js";
import { Sheets } from "./sheets.js";

const GAP = 4;
const CAPTION = 18;
// Pictures come in these sides, multiples of the 8 pixels that JPEG works in, and are drawn at any size.
const SIDES = [32, 48, 64, 96, 128, 192, 256, 384, 512];
let galleries = 0;

/** Make a gallery.
 *
 *  address: (ids, side, columns, sigma) => address of a sheet of these pictures
 *  label: (id) => its name, for those who cannot see
 *  caption: (id) => a short text below it
 *  chosen: Set of ids
 *  changed: () => called when `chosen` was changed here; without it nothing can be chosen
 *  opened: (id) => called on Enter, a double click, or, where nothing can be chosen, on a click
 *  looked: (id) => called when the keyboard or a click has come to a picture
 *  menu: (id) => more entries [text, action] of the menu of the right button
 *  kind: "good" or "bad": what being chosen means */
export class Gallery {
  constructor(page, { address, label, caption, chosen = new Set(), changed, opened, looked, menu, kind = "good" }) {
    Object.assign(this, { label, caption, chosen, changed, opened, looked, menu });
    this.name = `gallery${++galleries}`;
    this.ids = [];
    this.tile = 96;
    this.captions = true;
    this.at = 0; // the place that the keyboard is at
    this.anchor = null; // where a range starts: { place, on }
    this.broken = new Set();
    this.rows = new Map();
    this.past = []; // of every change, the ids that it flipped
    this.space = h("div.space", {});
    this.element = h(`div.gallery.${kind}`, {
      role: "listbox", "aria-multiselectable": changed ? "true" : false, tabindex: 0,
      onscroll: () => this.later(), onkeydown: (event) => this.pressed(event), onclick: (event) => this.clicked(event),
      ondblclick: (event) => this.placeOf(event) !== null && this.changed && this.opened?.(this.ids[this.placeOf(event)]),
      oncontextmenu: (event) => this.asked(event),
    }, this.space);
    this.sheets = new Sheets({ address, arrived: () => this.paint(), signal: page.signal });
    this.sheets.failed = (error) => note(error.message, "error");
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.element);
    page.signal.addEventListener("abort", () => this.close());
  }

  /** The gallery is shown no more. */
  close() {
    this.observer.disconnect();
    this.element.remove();
  }

  /** Show these ids, in this order; the one that was looked at is kept in sight if `keep`. */
  show(ids, { keep = false } = {}) {
    const id = this.ids[this.at];
    this.ids = ids;
    this.anchor = null;
    this.at = keep ? Math.max(0, ids.indexOf(id)) : 0;
    this.side = 0;
    if (!keep) this.element.scrollTop = 0;
    this.layout();
  }

  /** The same ids, but other pictures of them; the old ones stay until the new ones are here. */
  refresh() {
    this.side = 0;
    this.layout();
  }

  setTile(px) {
    const first = this.firstInSight();
    this.tile = px;
    this.layout();
    this.element.scrollTop = Math.floor(first / this.columns) * this.step;
  }

  setSigma(sigma) {
    this.sheets.setSigma(sigma);
    this.paint();
  }

  setCaptions(on) {
    this.captions = on;
    this.layout();
  }

  /** The id that the keyboard is at; undefined if there is none. */
  get current() {
    return this.ids[this.at];
  }

  // --- what is in sight ---

  get pitch() {
    return this.tile + GAP;
  }

  get step() {
    return this.tile + GAP + (this.captions ? CAPTION : 0);
  }

  firstInSight() {
    return Math.floor(this.element.scrollTop / this.step) * (this.columns ?? 1);
  }

  layout() {
    const width = this.element.clientWidth;
    if (!width) return;
    const columns = Math.max(1, Math.floor((width - GAP) / this.pitch));
    const wanted = this.tile * devicePixelRatio;
    const side = SIDES.find((each) => each >= wanted) ?? SIDES.at(-1);
    if (side !== this.side) this.sheets.reset(this.ids, side);
    this.side = side;
    const geometry = [columns, this.tile, this.captions, devicePixelRatio].join();
    this.columns = columns;
    this.space.style.height = `${Math.ceil(this.ids.length / columns) * this.step + GAP}px`;
    this.element.style.setProperty("--tile", `${this.tile}px`);
    this.element.classList.toggle("captions", this.captions);
    const old = [...this.rows];
    this.rows.clear();
    for (const [number, row] of old)
      if (geometry === this.geometry && number * columns < this.ids.length) this.place(row, number, true);
      else row.element.remove();
    this.geometry = geometry;
    this.update();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => this.update());
  }

  update() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const { scrollTop, clientHeight } = this.element;
    const count = Math.ceil(this.ids.length / this.columns);
    const first = Math.max(0, Math.floor(scrollTop / this.step) - 1);
    const last = Math.min(count - 1, Math.ceil((scrollTop + clientHeight) / this.step));
    const free = [];
    for (const [number, row] of this.rows)
      if (number < first || number > last) {
        this.rows.delete(number);
        free.push(row);
      }
    for (let number = first; number <= last; number++)
      if (!this.rows.has(number)) this.place(free.pop() ?? this.makeRow(), number);
    for (const row of free) row.element.remove();
    this.sheets.want(first * this.columns, Math.min(this.ids.length, (last + 1) * this.columns) - 1);
    this.element.setAttribute("aria-activedescendant", `${this.name}-${this.at}`);
  }

  makeRow() {
    const canvas = h("canvas", {});
    const tiles = Array.from({ length: this.columns }, () => h("div.tile", { role: "option" }, h("span", {})));
    const element = h("div.row", {}, canvas, tiles);
    canvas.width = Math.round(this.columns * this.pitch * devicePixelRatio);
    canvas.height = Math.round(this.tile * devicePixelRatio);
    canvas.style.width = `${this.columns * this.pitch}px`;
    canvas.style.height = `${this.tile}px`;
    tiles.forEach((tile, column) => (tile.style.left = `${column * this.pitch}px`));
    return { element, tiles, context: canvas.getContext("2d") };
  }

  place(row, number, stay = false) {
    if (!stay) row.context.clearRect(0, 0, row.context.canvas.width, row.context.canvas.height);
    row.number = number;
    row.element.style.transform = `translateY(${number * this.step + GAP}px)`;
    this.rows.set(number, row);
    row.tiles.forEach((tile, column) => {
      const place = number * this.columns + column;
      const id = this.ids[place];
      tile.hidden = id === undefined;
      if (tile.hidden) {
        row.context.clearRect(column * this.pitch * devicePixelRatio, 0, this.pitch * devicePixelRatio, row.context.canvas.height);
        return;
      }
      tile.id = `${this.name}-${place}`;
      tile.dataset.place = place;
      tile.setAttribute("aria-label", this.label(id));
      tile.classList.toggle("broken", this.broken.has(id));
      tile.firstChild.textContent = this.captions ? this.caption(id) : "";
    });
    this.mark(row);
    this.paintRow(row);
    if (!row.element.isConnected) this.space.append(row.element);
  }

  mark(row) {
    for (const tile of row.tiles) {
      if (tile.hidden) continue;
      const place = Number(tile.dataset.place);
      if (this.changed) tile.setAttribute("aria-selected", this.chosen.has(this.ids[place]));
      tile.classList.toggle("at", place === this.at);
    }
  }

  /** Show anew what is chosen. */
  marks() {
    for (const row of this.rows.values()) this.mark(row);
    this.element.setAttribute("aria-activedescendant", `${this.name}-${this.at}`);
  }

  paint() {
    for (const row of this.rows.values()) this.paintRow(row);
  }

  paintRow({ context, number }) {
    const ratio = devicePixelRatio;
    for (let column = 0; column < this.columns; column++) {
      const place = number * this.columns + column;
      if (place < this.ids.length) this.sheets.draw(context, place, Math.round(column * this.pitch * ratio), 0, Math.round(this.tile * ratio));
    }
  }

  // --- choosing ---

  /** Choose or drop the ids at these places. */
  set(from, to, on) {
    this.flip(this.ids.slice(Math.min(from, to), Math.max(from, to) + 1).filter((id) => this.chosen.has(id) !== on));
  }

  /** Choose these ids and no others. */
  choose(ids) {
    const wanted = new Set(ids);
    this.flip([...wanted.symmetricDifference(this.chosen)]);
  }

  flip(ids, { remember = true } = {}) {
    if (!ids.length) return;
    for (const id of ids) if (!this.chosen.delete(id)) this.chosen.add(id);
    if (remember) this.past.push(ids);
    this.marks();
    this.changed?.();
  }

  undo() {
    if (this.past.length) this.flip(this.past.pop(), { remember: false });
  }

  toggle(place) {
    const on = !this.chosen.has(this.ids[place]);
    this.anchor = { place, on };
    this.set(place, place, on);
  }

  chooseAll(on = true) {
    if (this.ids.length) this.set(0, this.ids.length - 1, on);
  }

  invert() {
    this.flip([...this.ids]);
  }

  chooseAbove(place = this.at) {
    this.set(0, place, true);
  }

  chooseBelow(place = this.at) {
    this.set(place, this.ids.length - 1, true);
  }

  placeOf(event) {
    const tile = event.target.closest(".tile");
    return tile ? Number(tile.dataset.place) : null;
  }

  clicked(event) {
    const place = this.placeOf(event);
    if (place === null) return;
    if (event.shiftKey && this.changed && this.anchor) this.range(place);
    else if (this.changed) this.toggle(place);
    else this.opened?.(this.ids[place]);
    this.goTo(place);
  }

  /** As far as here from where the range starts: all as the start was made. */
  range(place) {
    this.set(this.anchor.place, place, this.anchor.on);
  }

  asked(event) {
    const byKey = event.button !== 2;
    const place = byKey && this.ids.length ? this.at : this.placeOf(event);
    if (place === null) return;
    event.preventDefault();
    this.goTo(place);
    const id = this.ids[place];
    const box = document.getElementById(`${this.name}-${place}`).getBoundingClientRect();
    openMenu(byKey ? box.left : event.clientX, byKey ? box.bottom : event.clientY, [
      ...(this.menu?.(id) ?? []),
      ...(this.changed ? [
        ["This and all above", () => this.chooseAbove(place)],
        ["This and all below", () => this.chooseBelow(place)],
        ["All", () => this.chooseAll()],
        ["None", () => this.chooseAll(false)],
        ["Invert", () => this.invert()],
      ] : []),
    ]);
  }

  // --- the keyboard ---

  goTo(place) {
    this.at = Math.max(0, Math.min(this.ids.length - 1, place));
    const top = Math.floor(this.at / this.columns) * this.step;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.step + GAP > scrollTop + clientHeight) this.element.scrollTop = top + this.step + GAP - clientHeight;
    this.update();
    this.marks();
    if (this.ids.length) this.looked?.(this.current);
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.ids.length) return;
    const screen = Math.max(1, Math.floor(this.element.clientHeight / this.step)) * this.columns;
    const moves = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -screen, PageDown: screen,
      Home: -this.ids.length, End: this.ids.length,
    };
    if (event.key in moves) {
      const target = this.at + moves[event.key];
      if (event.shiftKey && this.changed) this.anchor ??= { place: this.at, on: true };
      this.goTo(target);
      if (event.shiftKey && this.changed) this.range(this.at);
    } else if (event.key === " " && this.changed) this.toggle(this.at);
    else if (event.key === "Enter") this.opened?.(this.current);
    else return;
    event.preventDefault();
  }
}
