// Small curves and bars, as SVG in the page's colours.

import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 84;
const LEFT = 58;
const BOTTOM = 15;

/** An element of a drawing. */
export function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const short = (value) => {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(2) : String(+value.toPrecision(4));
};

/** A frame with a heading and the ends of the vertical axis. */
function frame(title, low, high, shown, ...inside) {
  return h("figure.chart", {}, h("figcaption", {}, title),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}` },
      s("line", { class: "axis", x1: LEFT, x2: WIDTH - 4, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
      s("text", { class: "tick", x: LEFT - 4, y: 10, "text-anchor": "end" }, shown(high)),
      s("text", { class: "tick", x: LEFT - 4, y: HEIGHT - BOTTOM, "text-anchor": "end" }, shown(low)),
      ...inside));
}

/** Curves over iterations.
 *
 *  title: what, and its unit
 *  x: iterations; curves: [{ label, y: numbers or null }], two at most
 *  at: the iteration that is looked at; chosen: (iteration) => called on a click
 *  zero: the axis begins at 0; of: a function of y that is even on the axis, for resolutions (y) => 1 / y
 *  shown: (y) => text */
export function curves({ title, x, curves: all, at, chosen, zero = true, of = (y) => y, shown = short }) {
  const values = all.flatMap((curve) => curve.y.filter((y) => y !== null).map(of));
  if (!values.length) return null;
  const low = zero ? 0 : Math.min(...values);
  const high = Math.max(...values);
  const span = high - low || 1;
  const [first, last] = [x[0], x.at(-1)];
  const px = (i) => LEFT + ((i - first) / (last - first || 1)) * (WIDTH - LEFT - 10);
  const py = (y) => 6 + (1 - (y - low) / span) * (HEIGHT - BOTTOM - 8);
  const index = x.indexOf(at);
  const legend = all.map((curve, k) =>
    h(`span.key.k${k}`, {}, [curve.label, index >= 0 && h("b", {}, shown(curve.y[index] ?? null))]));
  const lines = all.map((curve, k) => {
    const points = curve.y.map((y, i) => (y === null ? null : `${px(x[i]).toFixed(1)},${py(of(y)).toFixed(1)}`)).filter(Boolean);
    return s("polyline", { class: `curve k${k}`, points: points.join(" ") });
  });
  const dots = all.flatMap((curve, k) => (index >= 0 && curve.y[index] !== null ? [s("circle", { class: `dot k${k}`, cx: px(at), cy: py(of(curve.y[index])), r: 3 })] : []));
  const mark = index >= 0 ? [s("line", { class: "mark", x1: px(at), x2: px(at), y1: 4, y2: HEIGHT - BOTTOM })] : [];
  const end = (i, anchor) => s("text", { class: "tick", x: px(i), y: HEIGHT - 3, "text-anchor": anchor }, i);
  const ends = first === last ? [end(first, "start")] : [end(first, "start"), end(last, "end")];
  const back = of === undefined ? (v) => v : (v) => of(v); // 1/(1/y) is y
  const figure = frame([title, legend], low, high, (v) => (low === v && zero ? (of(1) === 1 && of(2) === 2 ? "0" : "∞") : shown(back(v))), ...mark, ...lines, ...dots, ...ends);
  const svg = figure.querySelector("svg");
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * WIDTH;
    chosen(x.reduce((best, i) => (Math.abs(px(i) - wanted) < Math.abs(px(best) - wanted) ? i : best)));
  });
  return figure;
}

/** Bars, one for each id, in their order; `chosen(id)` is called on a click. */
export function bars({ title, ids, values, label, marked, chosen }) {
  const high = Math.max(...values, 0) || 1;
  const step = (WIDTH - LEFT - 6) / Math.max(1, ids.length);
  const rects = ids.map((id, i) => {
    const height = Math.max(0.5, (values[i] / high) * (HEIGHT - BOTTOM - 8));
    const rect = s("rect", {
      class: id === marked ? "bar at" : "bar", x: LEFT + i * step, width: Math.max(0.6, step - Math.min(1, step / 5)),
      y: HEIGHT - BOTTOM - height, height,
    }, s("title", {}, label(id)));
    rect.addEventListener("click", () => chosen(id));
    return rect;
  });
  return frame(title, 0, high, (v) => short(v), ...rects);
}
