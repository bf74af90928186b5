// Circles of thousands of picks: each colour is drawn once, and stamped.

const SHADES = 48;
export const GREEN = "#35d05a";

/** From blue over violet to red; 0 to 1. */
export function shade(part) {
  const t = Math.min(Math.max(part, 0), 1);
  const [from, to, k] = t < 0.5 ? [[40, 120, 255], [214, 92, 232], 2 * t] : [[214, 92, 232], [255, 45, 45], 2 * t - 1];
  return `rgb(${from.map((value, i) => Math.round(value + (to[i] - value) * k)).join(" ")})`;
}

export class Stamps {
  constructor() {
    this.stamps = new Map();
    this.radius = 0;
  }

  /** Draw circles; places: (x, y, part or null) in screen pixels. A part from 0 to 1 is a colour from blue to red. */
  draw(context, places, radius, width, height) {
    const [line, ratio] = [Math.min(2.2, Math.max(1.2, radius / 8)), devicePixelRatio];
    const key = `${radius} ${ratio}`;
    if (key !== this.key) this.stamps.clear();
    this.key = key;
    const reach = radius + line + 1;
    for (const [x, y, part] of places) {
      if (x < -reach || y < -reach || x > width + reach || y > height + reach) continue;
      const colour = part === null ? GREEN : shade(Math.round(part * SHADES) / SHADES);
      if (radius > 150) {
        ring(context, x, y, radius, line, colour);
        continue;
      }
      if (!this.stamps.has(colour)) this.stamps.set(colour, stamp(reach, radius, line, colour, ratio));
      context.drawImage(this.stamps.get(colour), x - reach, y - reach, 2 * reach, 2 * reach);
    }
  }
}

export function ring(context, x, y, radius, line, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = line + 1.5;
  context.strokeStyle = "rgb(0 0 0 / .45)";
  context.stroke();
  context.lineWidth = line;
  context.strokeStyle = colour;
  context.stroke();
}

function stamp(reach, radius, line, colour, ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil(2 * reach * ratio);
  const context = canvas.getContext("2d");
  context.scale(canvas.width / (2 * reach), canvas.height / (2 * reach));
  ring(context, reach, reach, radius, line, colour);
  return canvas;
}
