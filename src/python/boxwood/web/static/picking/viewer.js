// A micrograph to pan and zoom, with a layer above it for marks.

import { h } from "../dom.js";
import { contrastFilter } from "./contrast.js";

const CLICK_PX = 4;

/** handlers: draw(context, viewer) draws marks in screen pixels; press(point, event) may return { move, end } to take a drag over;
 *  click(point, event), hover(point or null), contrast() after other grey values have come. Points are { x, y } of the micrograph,
 *  where 0 is the centre of the first pixel. */
export class Viewer {
  constructor(page, handlers) {
    this.handlers = handlers;
    this.image = h("canvas.image");
    this.marks = h("canvas.marks");
    this.said = h("p.said", { role: "status" });
    this.contrast = contrastFilter(this.image);
    this.element = h("div.viewer", { tabindex: 0, role: "application", "aria-label": "Micrograph" }, this.contrast.element, this.image, this.marks, this.said);
    this.tiles = null;
    this.before = null; // what is shown until the first tiles of the others are there
    this.x = this.y = 0;
    this.scale = 1;
    this.fitted = true;
    this.dirty = false;
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.element);
    page.signal.addEventListener("abort", () => this.close());
    this.listen();
  }

  close() {
    this.watch.disconnect();
    this.tiles?.close();
    this.before?.close();
  }

  /** Show these tiles; those of the same micrograph with another filter replace the old ones as they come. */
  show(tiles, { same = false, scale = null } = {}) {
    if (same) {
      this.before?.close();
      this.before = this.tiles;
    } else {
      this.tiles?.close();
      this.before?.close();
      this.before = null;
    }
    this.tiles = tiles;
    this.said.textContent = "";
    if (!same) scale ? this.centre(scale) : this.fit();
    this.redraw();
  }

  /** Show a sentence instead of a micrograph. */
  clear(text = "") {
    this.tiles?.close();
    this.before?.close();
    this.tiles = this.before = null;
    for (const canvas of [this.image, this.marks]) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    this.said.textContent = text;
    this.element.dataset.state = text ? "ready" : "loading";
  }

  get size() {
    return [this.element.clientWidth, this.element.clientHeight];
  }

  /** Whether it is on the page: not yet, or no more, where it or its canvases have no size. */
  get shown() {
    return [...this.size, this.image.width, this.image.height].every((side) => side > 0);
  }

  fit() {
    if (!this.tiles) return;
    const [width, height] = this.size;
    this.centre(Math.max(1e-4, Math.min(width / this.tiles.width, height / this.tiles.height)));
    this.fitted = true;
  }

  centre(scale) {
    Object.assign(this, { x: (this.tiles.width - 1) / 2, y: (this.tiles.height - 1) / 2, scale, fitted: false });
    this.redraw();
  }

  /** Zoom, such that a point stays where it is on the screen. */
  zoom(scale, at = { x: this.x, y: this.y }) {
    if (!this.tiles) return;
    const [width, height] = this.size;
    const least = Math.min(width / this.tiles.width, height / this.tiles.height) / 2;
    scale = Math.min(Math.max(scale, least), 32);
    const kept = this.scale / scale;
    this.x = at.x + (this.x - at.x) * kept;
    this.y = at.y + (this.y - at.y) * kept;
    this.scale = scale;
    this.moved();
  }

  pan(dx, dy) {
    if (!this.tiles) return;
    this.x += dx / this.scale;
    this.y += dy / this.scale;
    this.moved();
  }

  moved() {
    this.x = Math.min(Math.max(this.x, 0), this.tiles.width);
    this.y = Math.min(Math.max(this.y, 0), this.tiles.height);
    this.fitted = false;
    this.redraw();
  }

  /** Bring a point into view. */
  reveal({ x, y }) {
    const [width, height] = this.size;
    const inside = Math.abs(x - this.x) * this.scale < width * 0.45 && Math.abs(y - this.y) * this.scale < height * 0.45;
    if (!inside) Object.assign(this, { x, y });
    inside ? this.redraw() : this.moved();
  }

  toScreen(x, y) {
    const [width, height] = this.size;
    return [(x - this.x) * this.scale + width / 2, (y - this.y) * this.scale + height / 2];
  }

  point(event) {
    const box = this.element.getBoundingClientRect();
    const [width, height] = this.size;
    return { x: (event.clientX - box.left - width / 2) / this.scale + this.x, y: (event.clientY - box.top - height / 2) / this.scale + this.y };
  }

  resize() {
    const [width, height] = this.size;
    for (const canvas of [this.image, this.marks]) {
      canvas.width = Math.round(width * devicePixelRatio);
      canvas.height = Math.round(height * devicePixelRatio);
    }
    if (this.fitted) this.fit();
    this.draw();
  }

  redraw() {
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => this.draw());
  }

  /** Draw the marks alone. */
  remark() {
    if (!this.shown) return;
    const context = this.marks.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, ...this.size);
    if (this.tiles) this.handlers.draw(context, this);
  }

  draw() {
    this.dirty = false;
    if (!this.tiles || !this.shown) return;
    const [width, height] = this.size;
    const context = this.image.getContext("2d");
    const s = this.scale * devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.image.width, this.image.height);
    context.setTransform(s, 0, 0, s, (width * devicePixelRatio) / 2 - (this.x + 0.5) * s, (height * devicePixelRatio) / 2 - (this.y + 0.5) * s);
    const [w, h] = [width / 2 / this.scale, height / 2 / this.scale];
    const [x, y] = [this.x + 0.5, this.y + 0.5]; // from the corner of the first pixel
    const box = { left: x - w, right: x + w, top: y - h, bottom: y + h };
    this.before?.draw(context, box, s);
    const complete = this.tiles.draw(context, box, s);
    if (complete) {
      this.before?.close();
      this.before = null;
    }
    this.element.dataset.state = complete ? "ready" : "loading";
    this.handlers.contrast?.();
    this.remark();
  }

  listen() {
    const { element } = this;
    element.addEventListener("wheel", (event) => {
      if (!this.tiles) return;
      event.preventDefault();
      this.zooming = true; // what is costly to draw is only scaled meanwhile
      clearTimeout(this.zoomEnds);
      this.zoomEnds = setTimeout(() => {
        this.zooming = false;
        this.remark();
      }, 120);
      const lines = event.deltaMode === 1 ? 20 : 1;
      this.zoom(this.scale * Math.exp(-event.deltaY * lines * 0.0015), this.point(event));
    }, { passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("auxclick", (event) => event.preventDefault());
    element.addEventListener("pointerdown", (event) => this.tiles && this.press(event));
    element.addEventListener("pointermove", (event) => this.tiles && this.handlers.hover?.(this.point(event)));
    element.addEventListener("pointerleave", () => this.handlers.hover?.(null));
  }

  press(event) {
    if (event.button > 2) return;
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    const start = [event.clientX, event.clientY];
    const taken = this.handlers.press?.(this.point(event), event);
    let [last, dragged] = [start, false];
    const move = (now) => {
      if (now.pointerId !== event.pointerId) return;
      dragged ||= Math.hypot(now.clientX - start[0], now.clientY - start[1]) > CLICK_PX;
      if (!dragged) return;
      if (taken) taken.move(this.point(now), now);
      else this.pan(last[0] - now.clientX, last[1] - now.clientY);
      last = [now.clientX, now.clientY];
    };
    const end = (now) => {
      if (now.pointerId !== event.pointerId) return;
      for (const [name, f] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) this.element.removeEventListener(name, f);
      taken?.end?.(this.point(now), dragged);
      if (!taken && !dragged && now.type === "pointerup") this.handlers.click?.(this.point(now), now);
    };
    for (const [name, f] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) this.element.addEventListener(name, f);
  }
}
