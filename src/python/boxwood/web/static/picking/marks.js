// Circles of thousands of picks: each colour is drawn once, and stamped, which is many times quicker than one path of all.

const SHADES = 48;
const HALO = 1.25; // on either side of a line
export const GREEN = "#35d05a";

/** From blue over violet to red; 0 to 1. */
function shade(part) {
  const t = Math.min(Math.max(part, 0), 1);
  const [from, to, k] = t < 0.5 ? [[40, 120, 255], [214, 92, 232], 2 * t] : [[214, 92, 232], [255, 45, 45], 2 * t - 1];
  return `rgb(${from.map((value, i) => Math.round(value + (to[i] - value) * k)).join(" ")})`;
}

class Stamps {
  constructor() {
    this.stamps = new Map();
    this.radius = 0;
  }

  /** Draw circles; places: (x, y, part or null) in screen pixels. A part from 0 to 1 is a colour from blue to red. */
  draw(context, places, radius, width, height) {
    const [line, ratio] = [Math.min(2.6, Math.max(2, radius / 8)), devicePixelRatio];
    const key = `${radius} ${ratio}`;
    if (key !== this.key) this.stamps.clear();
    this.key = key;
    const reach = Math.ceil((radius + line / 2 + HALO + 1) * ratio) / ratio;
    const whole = (length) => Math.round(length * ratio) / ratio; // between pixels a thin line fades
    for (const [x, y, part] of places) {
      if (x < -reach || y < -reach || x > width + reach || y > height + reach) continue;
      const colour = part === null ? GREEN : shade(Math.round(part * SHADES) / SHADES);
      if (radius > 150) {
        ring(context, x, y, radius, line, colour);
        continue;
      }
      if (!this.stamps.has(colour)) this.stamps.set(colour, stamp(reach, radius, line, colour, ratio));
      context.drawImage(this.stamps.get(colour), whole(x - reach), whole(y - reach), 2 * reach, 2 * reach);
    }
  }
}

export function ring(context, x, y, radius, line, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = line + 2 * HALO;
  context.strokeStyle = "rgb(0 0 0 / .65)";
  context.stroke();
  context.lineWidth = line;
  context.strokeStyle = colour;
  context.stroke();
}

function stamp(reach, radius, line, colour, ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round(2 * reach * ratio);
  const context = canvas.getContext("2d");
  context.scale(canvas.width / (2 * reach), canvas.height / (2 * reach));
  ring(context, reach, reach, radius, line, colour);
  return canvas;
}

const MARGIN = 0.4;

/** Circles that stay while only the view moves: drawn once, a bit beyond the window, and moved with the micrograph. */
export class Layer {
  constructor() {
    this.stamps = new Stamps();
    this.canvas = document.createElement("canvas");
    this.key = null;
  }

  /** places: () => [[x, y, part]] in pixels of the micrograph, as is the radius; key: what they depend on. */
  draw(context, viewer, places, radius, key) {
    const [width, height] = viewer.size;
    const now = [...key, radius, width, height, devicePixelRatio];
    const same = this.key?.length === now.length && now.every((value, i) => value === this.key[i]);
    const ratio = viewer.scale / this.scale;
    if (!same || (ratio !== 1 && !viewer.zooming) || !this.covers(viewer, ratio)) {
      this.render(viewer, places(), radius);
      this.key = now;
      return this.put(context, viewer, 1);
    }
    return this.put(context, viewer, ratio);
  }

  get size() {
    return [this.canvas.width / devicePixelRatio, this.canvas.height / devicePixelRatio];
  }

  covers(viewer, ratio) {
    return [viewer.x - this.x, viewer.y - this.y].every((away, i) =>
      Math.abs(away) * viewer.scale + viewer.size[i] / 2 <= (this.size[i] * ratio) / 2 + 1);
  }

  render(viewer, places, radius) {
    const size = viewer.size.map((side) => Math.ceil(side * (1 + 2 * MARGIN)));
    Object.assign(this, { x: viewer.x, y: viewer.y, scale: viewer.scale });
    [this.canvas.width, this.canvas.height] = size.map((side) => Math.ceil(side * devicePixelRatio));
    const context = this.canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    const [width, height] = this.size;
    const onScreen = places.map(([x, y, part]) => [(x - this.x) * this.scale + width / 2, (y - this.y) * this.scale + height / 2, part]);
    this.stamps.draw(context, onScreen, Math.max(2, radius * this.scale), width, height);
  }

  put(context, viewer, ratio) {
    const whole = (length) => (ratio === 1 ? Math.round(length * devicePixelRatio) / devicePixelRatio : length);
    const [width, height] = this.size.map((side) => side * ratio);
    const [x, y] = viewer.toScreen(this.x, this.y);
    context.drawImage(this.canvas, whole(x - width / 2), whole(y - height / 2), width, height);
  }
}
