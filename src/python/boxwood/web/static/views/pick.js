// Picking on one micrograph after the other, by hand or after automatic picking.

import { ApiError, address, get, post } from "../api.js";
import { autosave, settled } from "../autosave.js";
import { h, note } from "../dom.js";
import { line } from "../picking/contrast.js";
import { ctfFacts, showCtf } from "../picking/ctf.js";
import { fieldSet } from "../picking/fields.js";
import { GREEN, Layer, ring } from "../picking/marks.js";
import { Picks } from "../picking/picks.js";
import { Tuning } from "../picking/tuning.js";
import { Settings, DISPLAY, COLOURS } from "../picking/settings.js";
import { Tiles } from "../picking/tiles.js";
import { Viewer } from "../picking/viewer.js";

const STATES = { saved: "saved", saving: "saving …", changed: "…", failed: "not saved", conflict: "not saved" };

export async function show(page) {
  const asked = page.query.get("name");
  if (asked) get(address("/api/filtered", { name: asked }), page.signal).catch(() => {}); // it is read while the list is
  const facts = await get(address("/api/picks", { source: page.parameters.job }), page.signal);
  page.main.classList.add("whole", "picking");
  const view = new Picking(page, facts);
  const first = asked ? facts.names.indexOf(asked) : 0;
  if (first < 0) throw new ApiError(`${facts.source} has no micrograph ${asked}`, 404);
  await view.open(first);
}

/** Distance of a point from the line between two others. */
function fromLine({ x, y }, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const t = Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - a.x - t * dx, y - a.y - t * dy);
}

/** RELION writes -999 where a value is not known. */
function isKnown(value) {
  return Number.isFinite(value) && value !== -999;
}

/** Values that nearly all lie between. */
function spread(values) {
  const sorted = values.filter(isKnown).sort((a, b) => a - b);
  return [0.02, 0.98].map((part) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
}

class Picking {
  constructor(page, facts) {
    Object.assign(this, { page, facts, settings: new Settings(facts, page.query) });
    this.circles = new Layer();
    this.picks = null;
    this.active = null; // the pick that keys act on
    this.moving = null; // { pick, x, y } while one is dragged
    this.brush = null; // { x, y, gone } while picks are rubbed out
    this.hovered = null;
    this.colours = null; // parts from blue to red, in the order of the picks
    this.viewer = new Viewer(page, {
      draw: (context) => this.draw(context),
      press: (point, event) => this.press(point, event),
      click: (point) => this.click(point),
      hover: (point) => this.hover(point),
      contrast: () => this.contrast(),
    });
    this.name = h("strong.name", {});
    this.place = h("span.place.faint", {});
    this.count = h("strong.count", { role: "status" });
    this.state = h("span.saved.faint", { role: "status" });
    this.undoButton = h("button", { onclick: () => this.undo(), title: "Undo (ctrl+z)" }, "Undo");
    this.redoButton = h("button", { onclick: () => this.redo(), title: "Redo (ctrl+y)" }, "Redo");
    this.display = fieldSet(DISPLAY, this.settings.values, (name, value) => this.change(name, value));
    this.colouring = fieldSet(COLOURS, this.settings.values, (name, value) => this.change(name, value));
    this.tuning = facts.picks === "manualpick" ? null : new Tuning(page, facts, {
      editable: facts.picks !== "",
      micrograph: () => this.micrograph,
      changed: () => this.after(),
      remember: () => this.remember(),
      open: (row) => this.open(row),
      use: (peaks) => this.use(peaks),
    });
    this.zoomed = h("span.faint.zoom", {});
    page.main.append(this.bar(), h("div.body", {}, this.viewer.element, this.side()));
    this.keys();
  }

  bar() {
    const { source } = this.facts;
    return h("div.bar", {},
      h("a.button", { href: `/micrographs/${source}` }, "All micrographs"),
      h("button", { onclick: () => this.step(-1), title: "Previous (p)", "aria-label": "Previous micrograph" }, "‹"),
      h("button", { onclick: () => this.step(1), title: "Next (n)", "aria-label": "Next micrograph" }, "›"),
      this.name, this.place,
      h("button", { onclick: () => this.ctf(), title: "Thon rings (c)" }, "CTF"),
      h("span.gap"),
      h("span.zoom", {}, this.zoomed),
      h("button", { onclick: () => this.viewer.fit(), title: "Fit to the window (f)" }, "Fit"),
      h("button", { onclick: () => this.viewer.zoom(1), title: "Full resolution (1)" }, "1 : 1"));
  }

  side() {
    const edits = this.facts.picks !== "";
    this.aside = h("aside", {},
      h("p.counts", {}, this.count, this.state),
      edits && h("div.buttons.edits", {}, this.undoButton, this.redoButton,
        h("button.danger", { onclick: () => this.picks?.set([]), title: "Remove all picks of this micrograph" }, "Clear")),
      edits ? h("p.faint.help.edits", {}, "Click to pick, drag to move, right-click or right-drag to remove. Drag the picture to pan, wheel to zoom; ? shows all keys.")
        : h("p.faint.help", {}, "These micrographs are only looked at. To pick on them: ",
          h("a", { href: address("/new/manual-pick", { micrographs: this.facts.star }) }, "a manual-pick job"), "."),
      this.tuning?.element,
      h("h2", {}, "Display"), this.display.element,
      h("button", { onclick: () => this.resetDisplay() }, edits ? "As the job has it" : "As at first"),
      h("h2", {}, "Colours"), this.colouring.element);
    return this.aside;
  }

  keys() {
    const { key } = this.page;
    key("n", "next micrograph", () => this.step(1));
    key("p", "previous micrograph", () => this.step(-1));
    key("ctrl+z", "undo", () => this.undo());
    key("ctrl+y", "redo", () => this.redo());
    key("ctrl+shift+z", "redo", () => this.redo());
    key("]", "choose the next pick", () => this.choose(1));
    key("[", "choose the previous pick", () => this.choose(-1));
    key("Enter", "pick in the middle of the picture", () => this.click(this.viewer));
    key("Delete", "remove the chosen pick, or the one under the pointer", () => this.delete());
    for (const [name, dx, dy] of [["Left", -1, 0], ["Right", 1, 0], ["Up", 0, -1], ["Down", 0, 1]])
      key(`Arrow${name}`, `the chosen pick a pixel ${name.toLowerCase()}; without one, the view`, () => this.arrow(dx, dy));
    key("+", "zoom in", () => this.viewer.zoom(this.viewer.scale * 1.25));
    key("-", "zoom out", () => this.viewer.zoom(this.viewer.scale / 1.25));
    key("f", "fit to the window", () => this.viewer.fit());
    key("1", "full resolution", () => this.viewer.zoom(1));
    key("c", "Thon rings", () => this.ctf());
    key("o", "show or hide the picks", () => { this.hidden = !this.hidden; this.viewer.remark(); });
  }

  // --- micrographs -----------------------------------------------------------------------------------------------

  get micrograph() {
    return this.facts.names[this.row];
  }

  get pixelSize() {
    return this.settings.values.pixel_size ?? this.facts.pixel_sizes[this.row] ?? 1;
  }

  async open(row) {
    this.leave();
    this.row = row;
    this.picks = this.keeper = null;
    this.viewer.clear();
    try {
      await this.load(row);
    } catch (error) {
      if (error.name !== "AbortError") this.viewer.clear(error.message);
    }
  }

  async load(row) {
    this.leaving = new AbortController();
    const signal = AbortSignal.any([this.page.signal, this.leaving.signal]);
    this.remember();
    this.page.title(`${this.micrograph.split("/").at(-1)}`);
    this.name.textContent = this.micrograph.split("/").at(-1);
    this.name.title = this.micrograph;
    this.place.textContent = `${row + 1} of ${this.facts.names.length}`;
    const where = address("/api/picks/coordinates", { source: this.facts.source, name: this.micrograph });
    const [tiles, table] = await Promise.all([
      this.newTiles(signal),
      // They may have been changed here a moment ago.
      this.facts.picks ? settled().then(() => get(where, signal)) : { labels: ["rlnCoordinateX", "rlnCoordinateY"], rows: [] },
    ]);
    Object.assign(this, { active: null, moving: null, brush: null, colours: null });
    const picks = (this.picks = new Picks(table, () => this.changed()));
    this.viewer.show(tiles, { scale: this.settings.values.scale });
    this.keeper = this.facts.picks ? autosave({ signal }, {
      address: where,
      revision: table.revision,
      content: () => picks.content(), // these, also when the next micrograph is shown
      reload: () => this.open(this.row),
      shown: (state) => signal.aborted || (this.state.textContent = STATES[state]),
    }) : null;
    this.state.textContent = "";
    this.colouring.choices("color", [["", "one colour"], ...table.labels.filter((label) => !label.startsWith("rlnCoordinate")).map((label) => [label, label])]);
    this.colouring.set("color", this.settings.values.color);
    if (this.keeper?.draft) {
      this.picks.setRows(this.keeper.draft.rows);
      note("Picks that were not saved when the page was closed are here again.");
    }
    await this.recolour();
    if (signal.aborted) return;
    this.after();
    this.ahead();
    this.tuning?.load();
  }

  /** Go away from a micrograph: autosave sends what is left when the signal fires. */
  leave() {
    this.leaving?.abort();
    clearTimeout(this.filterTimer);
  }

  /** Let the server prepare the next micrograph. */
  ahead() {
    const next = this.facts.names[this.row + 1];
    if (next) setTimeout(() => this.leaving.signal.aborted || get(this.filtered("/api/filtered", { name: next, ready: 1 }), this.leaving.signal).catch(() => {}), 400);
  }

  step(by) {
    const row = this.row + by;
    if (row < 0 || row >= this.facts.names.length) note(by > 0 ? "This is the last micrograph" : "This is the first micrograph");
    else this.open(row);
  }

  filtered(path, query) {
    const { low_pass, high_pass } = this.settings.values;
    return address(path, { ...query, low: low_pass, high: high_pass, pixel: this.pixelSize });
  }

  async newTiles(signal) {
    const name = this.micrograph;
    const facts = await get(this.filtered("/api/filtered", { name }), signal);
    const place = this.filtered("/image/filtered", { name, tag: facts.tag });
    return new Tiles(facts, (level, column, row) => `${place}&level=${level}&column=${column}&row=${row}`, () => this.viewer.redraw());
  }

  // --- settings --------------------------------------------------------------------------------------------------

  /** Write what is seen into the address, so that a link opens the same. */
  remember() {
    if (this.page.signal.aborted) return; // the address is another view's
    history.replaceState(history.state, "", address(`/pick/${this.facts.source}`, { name: this.micrograph, ...this.settings.changed(), ...this.tuning?.query() }));
  }

  change(name, value) {
    this.settings.set(name, value);
    this.remember();
    if (name === "scale") value ? this.viewer.zoom(value) : this.viewer.fit();
    else if (["low_pass", "high_pass", "pixel_size"].includes(name)) this.refilter();
    else if (["color", "color_star", "blue", "red"].includes(name)) this.recolour();
    this.contrast();
    this.viewer.remark();
  }

  resetDisplay() {
    this.settings.reset();
    for (const { name } of DISPLAY) this.display.set(name, this.settings.values[name]);
    this.remember();
    this.refilter();
  }

  refilter() {
    if (!this.viewer.tiles) return;
    clearTimeout(this.filterTimer);
    this.viewer.element.dataset.state = "loading";
    this.filterTimer = setTimeout(async () => {
      this.filtering?.abort();
      this.filtering = new AbortController();
      try {
        const signal = AbortSignal.any([this.leaving.signal, this.filtering.signal]);
        this.viewer.show(await this.newTiles(signal), { same: true });
      } catch (error) {
        if (error.name !== "AbortError") note(error.message, "error");
      }
    }, 60);
  }

  contrast() {
    const { tiles } = this.viewer;
    if (!tiles) return;
    const grey = tiles.grey.get(tiles.levelFor(this.viewer.scale * devicePixelRatio)) ?? [...tiles.grey.values()].at(-1);
    this.viewer.contrast.set(...line(this.settings.values, tiles.facts.sigmas, grey));
    this.zoomed.textContent = `${+(100 * this.viewer.scale).toPrecision(3)} %`;
  }

  async recolour() {
    if (!this.picks) return;
    this.recolouring?.abort();
    this.recolouring = new AbortController();
    const { color, color_star, blue, red } = this.settings.values;
    const { list } = this.picks; // others may be picked before the answer is there
    let values = color ? this.picks.column(color) : null;
    if (color && color_star) {
      const body = { star: color_star, label: color, name: this.micrograph, places: list.map(({ x, y }) => [x, y]) };
      try {
        ({ values } = await post("/api/picks/colours", body, AbortSignal.any([this.leaving.signal, this.recolouring.signal])));
      } catch (error) {
        if (error.name !== "AbortError") note(error.message, "error");
        return;
      }
    }
    const [low, high] = spread(values ?? []);
    const [cold, warm] = [blue ?? low, red ?? high];
    const parts = (values ?? []).map((value) => (isKnown(value) ? (value - cold) / (warm - cold || 1) : null));
    this.colours = values && new Map(list.map((pick, i) => [pick.row, parts[i]]));
    this.viewer.remark();
  }

  // --- picks -----------------------------------------------------------------------------------------------------

  get radius() {
    return this.settings.values.diameter / this.pixelSize / 2;
  }

  changed() {
    if (!this.picks.list.includes(this.active)) this.active = null;
    this.keeper?.changed();
    this.after();
  }

  after() {
    if (!this.picks) return;
    const count = this.picks.list.length;
    this.facts.counts && (this.facts.counts[this.row] = count);
    const proposed = this.tuning?.proposals();
    const words = proposed ? `${proposed.length} proposed` : `${count} pick${count === 1 ? "" : "s"}`;
    this.count.textContent = this.facts.picks || proposed ? words : "";
    this.aside.classList.toggle("tunes", Boolean(proposed));
    this.undoButton.disabled = !this.picks.past.length;
    this.redoButton.disabled = !this.picks.future.length;
    this.viewer.remark();
  }

  /** Whether clicks pick: not while proposals of automatic picking are shown. */
  get editing() {
    return Boolean(this.facts.picks && this.picks && !this.tuning?.active);
  }

  /** Take peaks of automatic picking for the picks. */
  use(peaks) {
    const { labels, fresh } = this.picks;
    const told = { rlnCoordinateX: "x", rlnCoordinateY: "y", rlnAutopickFigureOfMerit: "fom", boxwoodLocalFdr: "rate" };
    const automatic = { rlnClassNumber: 0, rlnAnglePsi: 0 };
    this.picks.setRows(peaks.map((peak) => labels.map((label, i) => peak[told[label]] ?? automatic[label] ?? fresh[i])));
    this.recolour();
  }

  undo() {
    this.picks?.undo();
  }

  redo() {
    this.picks?.redo();
  }

  click(point) {
    if (!this.editing) return;
    const { tiles } = this.viewer;
    if (point.x < -0.5 || point.y < -0.5 || point.x > tiles.width - 0.5 || point.y > tiles.height - 0.5) return;
    // A circle is taken: picking twice in it is refused, as RELION does.
    this.active = this.picks.near(point, this.radius) ?? this.picks.add(point.x, point.y);
    this.viewer.remark();
  }

  press(point, event) {
    if (!this.editing) return null;
    const { picks } = this;
    const pick = event.button === 0 && !event.shiftKey ? picks.near(point, this.radius) : null;
    if (event.button === 0 && !event.shiftKey && !pick) return null;
    const { move, end } = pick ? this.take(pick, point) : this.rub(point);
    const here = (act) => (...now) => picks === this.picks && act(...now); // a key may bring another micrograph meanwhile
    return { move: here(move), end: here(end) };
  }

  /** Drag a pick. */
  take(pick, from) {
    this.active = pick;
    this.viewer.remark();
    return {
      move: ({ x, y }) => {
        this.moving = { pick, x: pick.x + x - from.x, y: pick.y + y - from.y };
        this.viewer.remark();
      },
      end: (point, dragged) => {
        const moved = this.moving;
        this.moving = null;
        if (dragged && moved) this.active = this.picks.move(pick, moved.x, moved.y);
        this.viewer.remark();
      },
    };
  }

  /** Remove what the pointer touches, until the button is let go; that is one step to undo. */
  rub(start) {
    this.brush = { ...start, gone: new Set() };
    const touch = ({ x, y }) => {
      // from where it was, since a quick pointer leaves gaps
      for (const pick of this.picks.list) if (fromLine(pick, this.brush, { x, y }) <= this.radius) this.brush.gone.add(pick);
      Object.assign(this.brush, { x, y });
      this.viewer.remark();
    };
    touch(start);
    return {
      move: touch,
      end: () => {
        const { gone } = this.brush;
        this.brush = null;
        this.picks.remove(gone);
        this.viewer.remark();
      },
    };
  }

  hover(point) {
    const before = this.hovered;
    this.hovered = point && this.editing ? this.picks.near(point, this.radius) : null;
    this.viewer.element.classList.toggle("on-pick", Boolean(this.hovered));
    if (before !== this.hovered) this.viewer.remark();
  }

  choose(by) {
    const list = this.editing ? this.picks.list : [];
    if (!list.length) return;
    const at = this.active ? list.indexOf(this.active) + by : by > 0 ? 0 : -1;
    this.active = list.at(at % list.length);
    this.viewer.reveal(this.active);
    this.viewer.remark();
  }

  arrow(dx, dy) {
    if (this.active && this.editing) this.active = this.picks.move(this.active, this.active.x + dx, this.active.y + dy);
    else this.viewer.pan(60 * dx, 60 * dy);
    this.viewer.remark();
  }

  delete() {
    const pick = this.active ?? this.hovered;
    if (pick && this.editing) this.picks.remove([pick]);
  }

  ctf() {
    const { source, metadata, has_ctf } = this.facts;
    showCtf(source, this.micrograph, has_ctf ? ctfFacts(metadata, this.row) : []);
  }

  // --- drawing ---------------------------------------------------------------------------------------------------

  /** Peaks of automatic picking, coloured by their figure of merit as picks are. */
  proposedPlaces(peaks) {
    const { blue, red } = this.settings.values;
    const [low, high] = spread(this.tuning.found.get(this.micrograph)?.fom ?? []); // of all peaks: a threshold changes no colour
    const [cold, warm] = [blue ?? low, red ?? high];
    return peaks.map(({ x, y, fom }) => [x, y, (fom - cold) / (warm - cold || 1)]);
  }

  places() {
    const shown = this.picks.list.filter((pick) => pick !== this.moving?.pick && !this.brush?.gone.has(pick));
    return shown.map(({ x, y, row }) => [x, y, this.colours?.get(row) ?? null]);
  }

  draw(context) {
    if (!this.picks || this.hidden) return;
    const { viewer, radius, moving, brush } = this;
    const proposed = this.tuning?.proposals();
    if (proposed) {
      const { blue, red } = this.settings.values;
      this.circles.draw(context, viewer, () => this.proposedPlaces(proposed), radius, [proposed, blue, red]);
      return;
    }
    this.circles.draw(context, viewer, () => this.places(), radius, [this.picks.list, this.colours, moving?.pick, brush?.gone.size]);
    const around = Math.max(2, radius * viewer.scale);
    if (moving) ring(context, ...viewer.toScreen(moving.x, moving.y), around, 1.6, GREEN);
    for (const [pick, colour] of [[this.hovered, "#fff"], [this.active, "#ffe14d"]]) {
      const at = pick && (moving?.pick === pick ? moving : pick);
      if (at && !brush?.gone.has(pick)) ring(context, ...viewer.toScreen(at.x, at.y), around + 3, 1.6, colour);
    }
    if (brush) ring(context, ...viewer.toScreen(brush.x, brush.y), around, 1.5, "#ff5a4d");
  }
}
