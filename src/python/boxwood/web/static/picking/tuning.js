// Automatic picking to be tried: all peaks come from the server once, and a method's thresholds choose among them here.

import { address, post } from "../api.js";
import { h, renew } from "../dom.js";
import { AdaptiveMethod } from "./adaptive_method.js";
import { fieldSet } from "./fields.js";
import { LogMethod } from "./log_method.js";

const METHODS = { log: LogMethod, adaptive: AdaptiveMethod };
const METHOD = [{ name: "method", label: "Method", choices: [["log", "LoG, RELION's"], ["adaptive", "adaptive"]], title: "RELION's, or one that learns what the particles look like" }];
// What peaks depend on is asked of the server, for both methods these.
const FIELDS = [
  { name: "min_diameter", label: "Min. diameter", unit: "Å", min: 2.5, optional: "not known", slider: [20, 1000], log: true, title: "Of the smallest particle" },
  { name: "max_diameter", label: "Max. diameter", unit: "Å", min: 2.5, optional: "not known", slider: [20, 1000], log: true, title: "Of the largest particle" },
  { name: "min_distance", label: "Min. distance", unit: "Å", above: 0, optional: "by diameter", slider: [20, 1000], log: true, title: "Between picks, beyond what their diameters demand" },
  { name: "white_particles", label: "Particles are", choices: [["", "dark"], ["1", "white"]] },
];
const SWITCHES = ["white_particles", "doubtful"];
const DIAMETERS = ["min_diameter", "max_diameter"];
const FIRST = { method: "log", min_distance: null, white_particles: "", ...LogMethod.first, ...AdaptiveMethod.first };
const NAMES = [...DIAMETERS, ...Object.keys(FIRST)];

/** view: { micrograph, changed() draw again, remember(), use(peaks) take the shown ones as picks, open(row), editable }. */
export class Tuning {
  constructor(page, facts, view) {
    Object.assign(this, { page, facts, view });
    this.told = facts.picks === "autopick" && facts.options.method in METHODS ? facts.options : {};
    this.around = { min_diameter: Math.round(0.9 * facts.diameter), max_diameter: Math.round(1.1 * facts.diameter) };
    const [min_diameter, max_diameter] = facts.range ?? [];
    const known = this.told.method ? { ...this.told, min_diameter, max_diameter } : this.around;
    this.first = { ...FIRST, ...Object.fromEntries(NAMES.filter((name) => known[name] !== undefined).map((name) => [name, known[name]])) };
    for (const name of SWITCHES) this.first[name] = this.first[name] ? "1" : "";
    this.values = { ...this.first };
    for (const name of NAMES) if (page.query.has(name)) this.values[name] = asked(name, page.query.get(name));
    if (!(this.values.method in METHODS)) this.values.method = this.first.method;
    this.active = page.query.has("tune");
    this.found = new Map(); // micrograph => peaks for the present settings
    this.tried = new Set(); // rows of the micrographs that were tried
    this.asking = new AbortController();
    this.build();
  }

  /** The method that is tried. */
  get method() {
    return this.methods[this.values.method];
  }

  build() {
    const changed = (name, value) => this.change(name, value);
    const cut = () => this.after();
    this.methods = {
      log: new LogMethod(this.values, { changed, cut }),
      adaptive: new AdaptiveMethod(this.values, {
        changed, cut, signal: this.page.signal, content: () => this.options(), learned: () => this.fresh(),
        post: (where, body) => post(address(where, { source: this.facts.source }), body, this.page.signal),
      }),
    };
    this.fields = fieldSet(FIELDS, this.values, changed);
    this.says = h("p.says", { role: "status" });
    this.rows = h("tbody", {});
    this.list = h("table.tried", {}, this.rows);
    this.many = h("input", { type: "number", min: 1, max: this.facts.names.length, value: Math.min(5, this.facts.names.length), "aria-label": "How many micrographs to try" });
    this.button = h("button", { "aria-expanded": false, onclick: () => this.toggle() });
    this.picked = h("div", {},
      this.view.editable && h("div.buttons", {}, h("button.use", { onclick: () => this.use(), title: "Replace the picks of this micrograph by those shown; that can be undone" }, "Use for this micrograph")),
      h("div.buttons", {}, h("button", { onclick: () => this.tryMany() }, "Try on the first"), this.many),
      this.list);
    this.panel = h("div.tuning", { hidden: true },
      fieldSet(METHOD, this.values, changed).element, this.says, Object.values(this.methods).map(({ element }) => element), this.fields.element, this.picked,
      h("button.main.run", { onclick: () => this.run(), title: "A form with these settings" }, "Run on all micrographs …"));
    this.element = h("section", {}, h("div.buttons", {}, this.button), this.panel);
    this.show();
  }

  show() {
    this.panel.hidden = !this.active;
    for (const method of Object.values(this.methods)) method.element.hidden = method !== this.method;
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

  /** The options that peaks depend on, as jobs know them; those without a value are left out. */
  options() {
    const { asked } = METHODS[this.values.method];
    const given = ["method", ...DIAMETERS, "min_distance", ...asked].map((name) => [name, this.values[name]]).filter(([, value]) => value !== null);
    return { ...Object.fromEntries(given), white_particles: this.values.white_particles === "1", ...(this.findsDiameter && { diameter: "auto" }) };
  }

  get findsDiameter() {
    return this.values.method === "adaptive" && DIAMETERS.every((name) => this.values[name] === null);
  }

  change(name, value) {
    this.values[name] = value;
    const { min_diameter: least, max_diameter: most } = this.values;
    if (name === "method") {
      this.found.clear(); // their scores mean something else
      this.says.textContent = "";
      this.show();
    }
    if (name === "method" && value === "log") for (const one of DIAMETERS) this.fill(one, this.values[one] ?? this.around[one]);
    else if (least !== null && most !== null && least > most) this.fill(name === "min_diameter" ? "max_diameter" : "min_diameter", value);
    this.view.remember();
    this.drop();
    this.timer = setTimeout(() => this.fresh(), 50);
  }

  fill(name, value) {
    this.values[name] = value;
    this.fields.set(name, value);
  }

  /** What has been asked for is wanted no more: something else is going to be. */
  drop() {
    this.asking.abort();
    this.asking = new AbortController();
    clearTimeout(this.timer);
    this.timer = null;
    if (this.active) this.panel.dataset.state = this.list.dataset.state = "loading";
  }

  /** Find the peaks anew. */
  async fresh() {
    this.drop();
    this.found.clear();
    await this.load();
    if (this.tried.size) this.tryAgain([...this.tried]);
  }

  after() {
    this.count();
    this.view.changed();
    clearTimeout(this.remembering);
    this.remembering = setTimeout(() => this.view.remember(), 200);
  }

  async peaks(name) {
    if (!this.found.has(name)) {
      const asked = post(address("/api/picks/peaks", { source: this.facts.source, name }), { content: this.options() }, AbortSignal.any([this.page.signal, this.asking.signal]));
      this.found.set(name, asked);
      asked.then((peaks) => this.found.get(name) === asked && this.found.set(name, peaks), () => this.found.get(name) === asked && this.found.delete(name));
    }
    return this.found.get(name);
  }

  /** Find the peaks of the micrograph that is shown. */
  async load() {
    if (!this.active) return;
    const { method, asking } = this;
    const name = this.view.micrograph();
    this.panel.dataset.state = "loading";
    try {
      const ready = await method.ready();
      if (asking !== this.asking) return;
      this.picked.hidden = !ready;
      if (ready) await this.peaks(name);
      else this.says.textContent = "";
      if (asking !== this.asking || name !== this.view.micrograph()) return;
      this.panel.dataset.state = ready ? "ready" : "waiting";
      this.spread();
      this.count();
      this.view.changed();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.says.textContent = error.message;
      this.panel.dataset.state = "ready";
    }
  }

  /** Show how peaks are spread: of the micrographs tried, or the one that is shown. */
  spread() {
    const names = this.tried.size ? [...this.tried].map((row) => this.facts.names[row]) : [this.view.micrograph()];
    this.method.show(names.map((name) => this.found.get(name)).filter((peaks) => peaks?.fom));
  }

  /** The peaks of a micrograph that the thresholds leave; null while they are not known. */
  kept(name) {
    const peaks = this.found.get(name);
    if (!peaks?.fom) return null;
    const picked = this.method.picks(peaks);
    return peaks.fom.flatMap((fom, i) => (picked[i] ? [{ x: peaks.x[i], y: peaks.y[i], fom, rate: peaks.rate?.[i] }] : []));
  }

  /** What is to be drawn, or null if the picks are; the same array as long as it says the same. */
  proposals() {
    if (!this.active || this.panel.dataset.state === "waiting") return null;
    const name = this.view.micrograph();
    const now = [this.found.get(name), ...METHODS[this.values.method].cuts.map((one) => this.values[one])];
    if (now.length !== this.shownFor?.length || now.some((value, i) => value !== this.shownFor[i])) [this.shownFor, this.shown] = [now, this.kept(name) ?? []];
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
    renew(this.rows, rows.length ? [
      rows.map(([row, count]) => h("tr", { title: this.facts.names[row] }, h("td", {}, h("button.quiet", { onclick: () => this.view.open(row) }, this.facts.names[row].split("/").at(-1))), h("td.count", {}, count ?? "…"))),
      h("tr.total", {}, h("td", {}, `${known.length} micrographs, ${known.length ? Math.round(total / known.length) : 0} each`), h("td.count", {}, total)),
    ] : []);
  }

  tryMany() {
    const many = Math.min(Math.max(1, Number(this.many.value) || 1), this.facts.names.length);
    const rows = Array.from({ length: many }, (_, row) => row);
    if (!this.timer) return this.tryAgain(rows);
    this.tried = new Set(rows);
    return this.fresh(); // with what was changed just now
  }

  /** Find the peaks of these micrographs, one after the other. */
  async tryAgain(rows) {
    const tried = (this.tried = new Set(rows));
    const { asking } = this;
    this.list.dataset.state = "loading";
    const over = () => asking !== this.asking || tried !== this.tried;
    if (!(await this.method.ready()) || over()) return;
    for (const row of rows) {
      this.count();
      try {
        await this.peaks(this.facts.names[row]);
      } catch (error) {
        if (error.name === "AbortError") return;
        this.tried.delete(row);
        this.says.textContent = `${this.facts.names[row]}: ${error.message}`;
      }
      if (over()) return;
    }
    this.spread();
    this.count();
    this.list.dataset.state = "ready";
  }

  use() {
    const peaks = this.kept(this.view.micrograph());
    if (!peaks) return;
    this.view.use(peaks);
    this.toggle();
  }

  /** Go to the form of the job that picks all micrographs so. */
  run() {
    const { values, facts } = this;
    this.method.settle?.(); // a model is of the present settings, or of none
    const { asked, cuts } = METHODS[values.method];
    const given = Object.fromEntries([...DIAMETERS, "min_distance", ...asked, ...cuts].map((name) => [name, values[name] ?? ""]));
    for (const name of SWITCHES) if (name in given || name === "white_particles") given[name] = values[name] ? "yes" : "no";
    this.page.go(address("/new/autopick", {
      ...(this.told.method === values.method && { like: facts.source }), // with what is not shown here
      method: values.method, micrographs: facts.star, pixel_size: this.told.pixel_size ?? "", ...given,
      diameter: this.findsDiameter ? "auto" : "", model: this.method.state?.model ?? "",
    }));
  }
}

function asked(name, text) {
  if (SWITCHES.includes(name) || name === "method") return text;
  return text === "" || !Number.isFinite(Number(text)) ? null : Number(text);
}
