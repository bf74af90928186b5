// RELION's Laplacian of Gaussian, tried: thresholds of the figure of merit cut the peaks, by number or below their histogram.

import { h } from "../dom.js";
import { fieldSet } from "./fields.js";
import { histogram } from "./histogram.js";

const ASKED = [{ name: "max_resolution", label: "Resolution", unit: "Å", slider: [5, 60], title: "Finest detail to use; -1 for all of it" }];
const CUTS = [
  { name: "threshold_offset", label: "Threshold", unit: "σ", title: "Standard deviations above the mean figure of merit: more is stricter" },
  { name: "upper_threshold", label: "At most", unit: "σ", optional: "no limit", title: "What is so far above the mean is left out, such as ice" },
];

export class LogMethod {
  static first = { max_resolution: 20, threshold_offset: 0, upper_threshold: null };
  static asked = ASKED.map(({ name }) => name);
  static cuts = CUTS.map(({ name }) => name);

  /** values by name; changed(name, value): what peaks depend on; cut(): what only chooses among them. */
  constructor(values, { changed, cut }) {
    Object.assign(this, { values, cut });
    this.fields = fieldSet(ASKED, values, changed);
    this.thresholds = fieldSet(CUTS, values, (name, value) => this.typed(name, value));
    this.spread = histogram({ title: "Figure of merit", unit: "σ", values: [], changed: (low, high) => this.slid(low, high) });
    this.move();
    this.element = h("div", {}, this.spread.element, this.thresholds.element, this.fields.element);
  }

  /** Whether peaks can be asked for. */
  async ready() {
    return true;
  }

  move() {
    this.spread.move(this.values.threshold_offset, this.values.upper_threshold ?? Infinity);
  }

  typed(name, value) {
    this.values[name] = value;
    this.move();
    this.cut();
  }

  /** A handle of the histogram was moved. At its left end the threshold lets all peaks pass. */
  slid(low, high) {
    this.values.threshold_offset = low === -Infinity ? Math.floor(100 * this.spread.first()) / 100 : +low.toPrecision(3);
    this.values.upper_threshold = high === Infinity ? null : +high.toPrecision(3);
    for (const name of LogMethod.cuts) this.thresholds.set(name, this.values[name]);
    this.cut();
  }

  /** Show how the peaks of some micrographs are spread: figures of merit in standard deviations above the mean. */
  show(found) {
    this.spread.set(found.flatMap(({ fom, mean, sigma }) => fom.map((value) => (value - mean) / sigma)));
  }

  /** Which of the peaks of a micrograph are picked. */
  picks({ fom, mean, sigma }) {
    const { threshold_offset, upper_threshold } = this.values;
    const [low, high] = [mean + threshold_offset * sigma, upper_threshold === null ? Infinity : mean + upper_threshold * sigma];
    return fom.map((value) => value >= low && value < high);
  }
}
