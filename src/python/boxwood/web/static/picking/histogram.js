// How values are spread, and the part of them that is wanted, between two handles.

import { h } from "../dom.js";

const STEPS = 1000;
const BINS = 48;

/** values: numbers, null where unknown. handles: "both", "low" or "high". changed(low, high): where handles are; ±Infinity at an end. */
export function histogram({ title, unit = "", values, handles = "both", digits = 3, changed }) {
  const bars = Array.from({ length: BINS }, () => h("i", {}));
  const low = h("input", { type: "range", min: 0, max: STEPS, value: 0, "aria-label": `${title}, at least`, oninput: () => slid(low) });
  const high = h("input", { type: "range", min: 0, max: STEPS, value: STEPS, "aria-label": `${title}, at most`, oninput: () => slid(high) });
  const says = h("output.faint", {});
  low.hidden = handles === "high";
  high.hidden = handles === "low";
  const element = h("div.histogram", {}, h("div.title", {}, h("span", {}, title), says), h("div.bars", { "aria-hidden": "true" }, bars), h("div.handles", {}, low, high));
  let [numbers, first, last] = [[], 0, 1];
  let range = [-Infinity, Infinity];

  const at = (part) => first + (part / STEPS) * (last - first);
  const part = (value) => Math.round(((Math.min(Math.max(value, first), last) - first) / (last - first)) * STEPS);

  function slid(handle) {
    const [a, b] = [Number(low.value), Number(high.value)];
    if (a > b) handle.value = handle === low ? b : a;
    range = [Number(low.value) <= 0 ? -Infinity : at(Number(low.value)), Number(high.value) >= STEPS ? Infinity : at(Number(high.value))];
    mark();
    changed(...range);
  }

  function draw() {
    const counts = new Array(BINS).fill(0);
    for (const value of numbers) counts[Math.min(BINS - 1, Math.max(0, Math.floor(((value - first) / (last - first)) * BINS)))]++;
    const most = Math.max(...counts, 1);
    bars.forEach((bar, i) => (bar.style.height = counts[i] ? `${Math.max(3, (100 * counts[i]) / most)}%` : "0"));
    mark();
  }

  function mark() {
    bars.forEach((bar, i) => {
      const middle = first + ((i + 0.5) / BINS) * (last - first);
      bar.classList.toggle("out", middle < range[0] || middle > range[1]);
    });
    const text = (value) => +value.toPrecision(digits);
    const [a, b] = [range[0] > -Infinity ? text(range[0]) : null, range[1] < Infinity ? text(range[1]) : null];
    const words = a === null && b === null ? `${text(first)} to ${text(last)}` : a === null ? `at most ${b}` : b === null ? `at least ${a}` : `${a} to ${b}`;
    says.textContent = numbers.length ? `${words} ${unit}` : "none";
  }

  /** Take other values; handles stay where they are. */
  function set(others) {
    numbers = others.filter((value) => Number.isFinite(value));
    [first, last] = numbers.length ? numbers.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]) : [0, 1];
    if (first === last) last = first + 1;
    move(...range);
  }

  /** Put the handles somewhere. */
  function move(a, b) {
    range = [a, b];
    low.value = a === -Infinity ? 0 : part(a);
    high.value = b === Infinity ? STEPS : part(b);
    draw();
  }

  set(values);
  return { element, set, move, range: () => range, first: () => first };
}
