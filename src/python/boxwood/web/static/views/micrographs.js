// The micrographs of a job: which are selected, how many picks each has, and ways into picking and selecting.

import { address, get } from "../api.js";
import { autosave } from "../autosave.js";
import { empty, h } from "../dom.js";
import { fileOf } from "../parts.js";
import { ctfFacts, showCtf } from "../picking/ctf.js";
import { histogram } from "../picking/histogram.js";
import { afterMicrographs } from "../next.js";
import { longList } from "../picking/rows.js";
import { saveJob } from "../save_job.js";

const COLUMNS = [
  { name: "name", title: "Micrograph" },
  { name: "picks", title: "Picks" },
  { name: "rlnDefocusU", title: "Defocus", unit: "Å" },
  { name: "rlnCtfMaxResolution", title: "CTF to", unit: "Å" },
];
const HISTOGRAMS = [
  { name: "rlnCtfMaxResolution", title: "CTF resolution", unit: "Å" },
  { name: "rlnDefocusU", title: "Defocus", unit: "Å", digits: 5 },
  { name: "picks", title: "Picks", digits: 4 },
];

/** The job, or the STAR file, that is looked at. */
const linkTo = (source) => (source.endsWith(".star") ? fileOf(source) : h("a", { href: `/job/${source}` }, source));

export async function show(page) {
  const name = page.parameters.job;
  const facts = await get(address("/api/picks", { source: name }), page.signal);
  page.title(`micrographs of ${facts.source}`);
  page.main.classList.add("whole", "micrographs");
  if (!facts.names.length) {
    page.main.append(empty("There are no micrographs", `${facts.star} has no rows.`, linkTo(facts.source)));
    return;
  }
  new Micrographs(page, facts);
}

class Micrographs {
  constructor(page, facts) {
    this.page = page;
    this.facts = facts;
    this.selected = [...facts.selected];
    this.order = facts.names.map((_, i) => i);
    this.sort = { by: null, up: true };
    this.state = h("span.saved.faint", { role: "status" });
    this.summary = h("strong.summary", { role: "status" });
    this.list = longList({ height: 38, count: () => this.order.length, make: (i) => this.row(this.order[i]) });
    this.filters = HISTOGRAMS.filter(({ name }) => new Set(this.column(name)).size > 1).map((about) => ({
      name: about.name,
      ...histogram({ ...about, values: this.column(about.name), changed: () => this.byFilters() }),
    }));
    page.main.append(this.heading(), h("div.body", {}, h("div.table", {}, this.head(), this.list.element), this.side()));
    this.keeper = facts.picks === "manualpick" && autosave(page, {
      address: address("/api/picks/selection", { source: facts.source }),
      revision: facts.revision,
      content: () => this.numbers(),
      reload: () => page.go(location.href, { replace: true }),
      shown: (state) => (this.state.textContent = { saved: "saved", saving: "saving …", changed: "…", failed: "not saved", conflict: "not saved" }[state]),
    });
    if (this.keeper?.draft) {
      this.selected = this.selected.map((_, i) => this.keeper.draft.includes(i));
      this.keeper.changed();
    }
    this.keys();
    requestAnimationFrame(() => this.refresh());
  }

  /** Values of a column, or null if there is none. */
  column(name) {
    if (name === "name") return this.facts.names;
    return name === "picks" ? this.facts.counts?.map((count) => count ?? 0) ?? null : this.facts.metadata[name] ?? null;
  }

  numbers() {
    return this.selected.flatMap((on, i) => (on ? [i] : []));
  }

  pickAddress(i) {
    return address(`/pick/${this.facts.source}`, { name: this.facts.names[i] });
  }

  heading() {
    const { source, star, picks } = this.facts;
    return h("div.heading", {},
      h("h1", {}, picks ? "Picks of " : "Micrographs of ", linkTo(source)),
      h("span.faint", {}, star), this.state);
  }

  head() {
    const cells = COLUMNS.map(({ name, title, unit }) => {
      if (!this.column(name)) return h("span", {});
      return h("button.quiet.sort", { "data-sort": name, onclick: () => this.sortBy(name) }, title, unit && h("span.faint", {}, ` ${unit}`));
    });
    return h("div.row.head", {}, h("span"), cells[0], h("span"), cells[1], h("span"), cells[2], cells[3]);
  }

  row(i) {
    const { names, counts, metadata, has_ctf, source, picks } = this.facts;
    const number = (label, decimals) => (Number.isFinite(metadata[label]?.[i]) ? metadata[label][i].toFixed(decimals) : "");
    const short = names[i].split("/").at(-1);
    const box = h("input", { type: "checkbox", "data-what": "box", "aria-label": `Select ${short}`, checked: this.selected[i], onclick: (event) => this.toggle(i, event.shiftKey) });
    return h(`div.row${this.selected[i] ? "" : ".off"}`, { role: "listitem", "data-micrograph": names[i] },
      box,
      h("span.name", { title: names[i] }, short),
      picks ? h("a.button", { href: this.pickAddress(i), "data-what": "pick" }, "pick") : h("a.button", { href: this.pickAddress(i), "data-what": "pick" }, "look"),
      h("span.count", {}, counts ? (counts[i] ?? "–") : ""),
      h("button", { "data-what": "ctf", onclick: () => showCtf(source, names[i], has_ctf ? ctfFacts(metadata, i) : []) }, "CTF"),
      h("span.count", {}, number("rlnDefocusU", 0)),
      h("span.count", {}, number("rlnCtfMaxResolution", 2)));
  }

  side() {
    const count = h("input.first", { type: "number", min: 1, max: this.facts.names.length, value: Math.min(5, this.facts.names.length), "aria-label": "How many" });
    const first = () => this.choose((i) => i < Number(count.value));
    return h("aside", {},
      this.summary,
      h("div.buttons", {},
        h("button", { onclick: () => this.choose(() => true) }, "All"),
        h("button", { onclick: () => this.choose(() => false) }, "None"),
        h("button", { onclick: () => this.choose((i) => !this.selected[i]), title: "i" }, "Invert")),
      h("div.buttons", {}, h("button", { onclick: first }, "Only the first"), count),
      this.filters.length > 0 && h("h2", {}, "Select by"),
      this.filters.map(({ element }) => element),
      this.filters.length > 0 && h("button", { onclick: () => this.clearFilters() }, "All values"),
      h("h2", {}, "Go on"),
      h("button.main.save", { onclick: () => this.save() }, "Save as a Select job"),
      h("p.faint", {}, "A new job Select/jobNNN gets micrographs_selected.star, for the jobs that follow."),
      !this.facts.picks && [
        h("p.faint", {}, "Or with all of them:"),
        h("ul.next", {}, afterMicrographs(this.facts.star).map(({ text, href }) => h("li", {}, h("a", { href }, text)))),
      ]);
  }

  keys() {
    const { key } = this.page;
    key("i", "invert the selection", () => this.choose((i) => !this.selected[i]));
    key("a", "select all", () => this.choose(() => true));
    key("Enter", "pick on the first micrograph", () => this.page.go(this.pickAddress(this.order[0])));
  }

  toggle(i, range) {
    const value = !this.selected[i];
    const [from, to] = range && this.last !== undefined ? [this.order.indexOf(this.last), this.order.indexOf(i)].sort((a, b) => a - b) : [0, -1];
    this.selected[i] = value;
    for (let place = from; place <= to; place++) this.selected[this.order[place]] = value;
    this.last = i;
    this.chosen();
  }

  choose(wanted) {
    this.selected = this.selected.map((_, i) => wanted(i));
    this.chosen();
  }

  byFilters() {
    const tests = this.filters.map(({ name, range }) => [this.column(name), ...range()]);
    this.choose((i) => tests.every(([values, low, high]) => (values[i] === null ? low === -Infinity && high === Infinity : values[i] >= low && values[i] <= high)));
  }

  clearFilters() {
    for (const filter of this.filters) filter.move(-Infinity, Infinity);
    this.byFilters();
  }

  chosen() {
    this.refresh();
    if (this.keeper) this.keeper.changed();
  }

  refresh() {
    const chosen = this.numbers();
    const picks = this.facts.counts && chosen.reduce((sum, i) => sum + (this.facts.counts[i] ?? 0), 0);
    this.summary.textContent = `${chosen.length} of ${this.selected.length} selected${picks === null ? "" : `, ${picks} picks`}`;
    this.page.main.querySelector(".save").disabled = !chosen.length;
    this.list.refresh();
  }

  sortBy(name) {
    this.sort = { by: name, up: this.sort.by === name ? !this.sort.up : true };
    const values = this.column(name);
    const sign = this.sort.up ? 1 : -1;
    const compare = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -1 : 1) * sign);
    this.order = this.facts.names.map((_, i) => i).sort((a, b) => compare(values[a], values[b]) || a - b);
    for (const button of this.page.main.querySelectorAll(".sort")) button.dataset.up = button.dataset.sort === name ? this.sort.up : "";
    this.list.refresh();
  }

  /** A Select job of what is selected, of picked micrographs as RELION's window makes it. */
  save() {
    const { source, star, suffix, names } = this.facts;
    const chosen = this.numbers();
    const first = chosen.at(-1) === chosen.length - 1;
    saveJob(this.page, {
      job: "select-micrographs",
      title: "Save the selection",
      text: `A new Select job gets micrographs_selected.star with ${chosen.length} of the ${names.length} micrographs of ${source}.`,
      values: () => ({ micrographs: suffix || star, ...(first ? { first: String(chosen.length) } : { names: chosen.map((i) => names[i]).join("\n") }) }),
    });
  }
}
