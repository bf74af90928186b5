// Automatic picking to be tried: all peaks come from the server once, and thresholds cut them here.

import { address, post } from "../api.js";
import { h } from "../dom.js";
import { saveJob } from "../save_job.js";
import { fieldSet } from "./fields.js";
import { histogram } from "./histogram.js";

// What peaks depend on is asked of the server; thresholds are not.
const FIELDS = [
  { name: "min_diameter", label: "Min. diameter", unit: "Å", min: 2.5, slider: [20, 1000], log: true, title: "Of the smallest particle" },
  { name: "max_diameter", label: "Max. diameter", unit: "Å", min: 2.5, slider: [20, 1000], log: true, title: "Of the largest particle" },
  { name: "min_distance", label: "Min. distance", unit: "Å", above: 0, optional: "by diameter", slider: [20, 1000], log: true, title: "Between picks, beyond what their diameters demand" },
  { name: "max_resolution", label: "Resolution", unit: "Å", slider: [5, 60], title: "Finest detail to use; -1 for all of it" },
  { name: "white_particles", label: "Particles are", choices: [["", "dark"], ["1", "white"]] },
];
const THRESHOLDS = [
  { name: "threshold_offset", label: "Threshold", unit: "σ", title: "Standard deviations above the mean figure of merit: more is stricter" },
  { name: "upper_threshold", label: "At most", unit: "σ", optional: "no limit", title: "What is so far above the mean is left out, such as ice" },
];
const NAMES = [...FIELDS, ...THRESHOLDS].map(({ name }) => name);
const FIRST = { min_distance: null, max_resolution: 20, white_particles: "", threshold_offset: 0, upper_threshold: null };

/** view: { micrograph, changed() draw again, remember(), use(peaks) take the shown ones as picks, open(row), editable }. */
export class Tuning {
  constructor(page, facts, view) {
    Object.assign(this, { page, facts, view });
    const { options } = facts;
    const told = facts.picks === "autopick" && options.method === "log" ? options : {};
    const around = { min_diameter: Math.round(0.9 * facts.diameter), max_diameter: Math.round(1.1 * facts.diameter) };
    this.first = { ...FIRST, ...around, ...Object.fromEntries(NAMES.filter((name) => told[name] !== undefined).map((name) => [name, told[name]])) };
    if (this.first.white_particles !== "") this.first.white_particles = this.first.white_particles ? "1" : "";
    this.values = { ...this.first };
    for (const name of NAMES) if (page.query.has(name)) this.values[name] = asked(name, page.query.get(name));
    this.active = page.query.has("tune");
    this.found = new Map(); // micrograph => peaks for the present settings
    this.tried = new Set(); // rows of the micrographs that were tried
    this.asking = new AbortController();
    this.build();
  }

  build() {
    this.fields = fieldSet(FIELDS, this.values, (name, value) => this.change(name, value));
    this.thresholds = fieldSet(THRESHOLDS, this.values, (name, value) => this.cut(name, value));
    this.spread = histogram({ title: "Figure of merit", unit: "σ", values: [], changed: (low, high) => this.slid(low, high) });
    this.spread.move(this.values.threshold_offset, this.values.upper_threshold ?? Infinity);
    this.says = h("p.says", { role: "status" });
    this.list = h("table.tried", {});
    this.many = h("input", { type: "number", min: 1, max: this.facts.names.length, value: Math.min(5, this.facts.names.length), "aria-label": "How many micrographs to try" });
    this.button = h("button", { "aria-expanded": false, onclick: () => this.toggle() }, "Try settings");
    this.panel = h("div.tuning", { hidden: true },
      this.says, this.spread.element, this.thresholds.element, this.fields.element,
      this.view.editable && h("div.buttons", {}, h("button.use", { onclick: () => this.use(), title: "Replace the picks of this micrograph by those shown; that can be undone" }, "Use for this micrograph")),
      h("div.buttons", {}, h("button", { onclick: () => this.tryMany() }, "Try on the first"), this.many),
      this.list,
      h("button.main.run", { onclick: () => this.run() }, "Run on all micrographs"));
    this.element = h("section", {}, h("div.buttons", {}, this.button), this.panel);
    this.show();
  }

  show() {
    this.panel.hidden = !this.active;
    this.button.setAttribute("aria-expanded", this.active);
    this.button.textContent = this.active ? "Back to the saved picks" : "Try automatic picking";
  }

  toggle() {
    this.active = !this.active;
    this.show();
    this.view.remember();
    this.load();
    this.view.changed();
  }

  /** What the address says of it. */
  query() {
    if (!this.active) return {};
    return { tune: 1, ...Object.fromEntries(NAMES.filter((name) => this.values[name] !== this.first[name]).map((name) => [name, this.values[name] ?? ""])) };
  }

  /** The options as jobs know them; those without a value are left out. */
  options() {
    const { white_particles, ...others } = this.values;
    const given = Object.entries(others).filter(([, value]) => value !== null);
    return { ...Object.fromEntries(given), white_particles: white_particles === "1" };
  }

  change(name, value) {
    this.values[name] = value;
    const { min_diameter: least, max_diameter: most } = this.values;
    if (least > most) {
      const other = name === "min_diameter" ? "max_diameter" : "min_diameter";
      this.values[other] = value;
      this.fields.set(other, value);
    }
    this.view.remember();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.asking.abort();
      this.asking = new AbortController();
      this.found.clear();
      this.load();
      if (this.tried.size) this.tryAgain([...this.tried]);
    }, 50);
  }

  /** A threshold was typed. */
  cut(name, value) {
    this.values[name] = value;
    this.spread.move(this.values.threshold_offset, this.values.upper_threshold ?? Infinity);
    this.after();
  }

  /** A handle of the histogram was moved. At its left end the threshold lets all peaks pass. */
  slid(low, high) {
    const least = this.spread.first();
    this.values.threshold_offset = low === -Infinity ? Math.floor(100 * least) / 100 : +low.toPrecision(3);
    this.values.upper_threshold = high === Infinity ? null : +high.toPrecision(3);
    for (const { name } of THRESHOLDS) this.thresholds.set(name, this.values[name]);
    this.after();
  }

  after() {
    this.count();
    this.view.changed();
    clearTimeout(this.remembering);
    this.remembering = setTimeout(() => this.view.remember(), 200);
  }

  async peaks(name) {
    if (!this.found.has(name)) {
      const { threshold_offset, upper_threshold, ...content } = this.options();
      const asked = post(address("/api/picks/peaks", { source: this.facts.source, name }), { content }, AbortSignal.any([this.page.signal, this.asking.signal]));
      this.found.set(name, asked);
      asked.then((peaks) => this.found.get(name) === asked && this.found.set(name, peaks), () => this.found.get(name) === asked && this.found.delete(name));
    }
    return this.found.get(name);
  }

  /** Find the peaks of the micrograph that is shown. */
  async load() {
    if (!this.active) return;
    this.panel.dataset.state = "loading";
    const name = this.view.micrograph();
    try {
      await this.peaks(name);
      if (name !== this.view.micrograph()) return;
      this.panel.dataset.state = "ready";
      this.spread.set(this.scores());
      this.count();
      this.view.changed();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.says.textContent = error.message;
      this.panel.dataset.state = "ready";
    }
  }

  /** Figures of merit in standard deviations above the mean: of the micrographs tried, or the one that is shown. */
  scores() {
    const names = this.tried.size ? [...this.tried].map((row) => this.facts.names[row]) : [this.view.micrograph()];
    return names.flatMap((name) => {
      const peaks = this.found.get(name);
      return peaks?.fom ? peaks.fom.map((fom) => (fom - peaks.mean) / peaks.sigma) : [];
    });
  }

  /** The peaks of a micrograph that the thresholds leave; null while they are not known. */
  kept(name) {
    const peaks = this.found.get(name);
    if (!peaks?.fom) return null;
    const low = peaks.mean + this.values.threshold_offset * peaks.sigma;
    const high = this.values.upper_threshold === null ? Infinity : peaks.mean + this.values.upper_threshold * peaks.sigma;
    return peaks.fom.flatMap((fom, i) => (fom >= low && fom < high ? [{ x: peaks.x[i], y: peaks.y[i], fom, diameter: peaks.diameter[i] }] : []));
  }

  /** What is to be drawn, or null if the picks are; the same array as long as it says the same. */
  proposals() {
    if (!this.active) return null;
    const name = this.view.micrograph();
    const now = [this.found.get(name), this.values.threshold_offset, this.values.upper_threshold];
    if (now.some((value, i) => value !== this.shownFor?.[i])) [this.shownFor, this.shown] = [now, this.kept(name) ?? []];
    return this.shown;
  }

  count() {
    const here = this.kept(this.view.micrograph());
    if (here) {
      const { reason, fom } = this.found.get(this.view.micrograph());
      this.says.textContent = reason && !fom.length ? reason : `${here.length} of ${fom.length} peaks`;
    }
    const rows = [...this.tried].map((row) => [row, this.kept(this.facts.names[row])?.length]);
    const known = rows.map(([, count]) => count).filter((count) => count !== undefined);
    const total = known.reduce((sum, count) => sum + count, 0);
    this.list.replaceChildren(...(rows.length ? [h("tbody", {},
      rows.map(([row, count]) => h("tr", {}, h("td", {}, h("button.quiet", { onclick: () => this.view.open(row) }, this.facts.names[row].split("/").at(-1))), h("td.count", {}, count ?? "…"))),
      h("tr.total", {}, h("td", {}, `${known.length} micrographs, ${known.length ? Math.round(total / known.length) : 0} each`), h("td.count", {}, total)))] : []));
  }

  tryMany() {
    const many = Math.min(Math.max(1, Number(this.many.value) || 1), this.facts.names.length);
    return this.tryAgain(Array.from({ length: many }, (_, row) => row));
  }

  /** Find the peaks of these micrographs, one after the other. */
  async tryAgain(rows) {
    this.tried = new Set(rows);
    const asking = this.asking;
    this.list.dataset.state = "loading";
    for (const row of rows) {
      if (asking !== this.asking) return;
      this.count();
      try {
        await this.peaks(this.facts.names[row]);
      } catch (error) {
        if (error.name === "AbortError") return;
        this.tried.delete(row);
        this.says.textContent = `${this.facts.names[row]}: ${error.message}`;
      }
    }
    this.spread.set(this.scores());
    this.count();
    this.list.dataset.state = "ready";
  }

  use() {
    const peaks = this.kept(this.view.micrograph());
    if (!peaks) return;
    this.view.use(peaks);
    this.toggle();
  }

  run() {
    saveJob(this.page, {
      job: "autopick",
      title: "Run on all micrographs",
      text: `A new AutoPick job picks on the ${this.facts.names.length} micrographs of ${this.facts.star} with these settings.`,
      values: () => ({ micrographs: this.facts.star, ...Object.fromEntries(Object.entries(this.options()).map(([name, value]) => [name, typeof value === "number" ? String(value) : value])) }),
    });
  }
}

function asked(name, text) {
  if (name === "white_particles") return text;
  return text === "" || !Number.isFinite(Number(text)) ? null : Number(text);
}
