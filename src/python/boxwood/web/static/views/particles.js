// Particles of a job: sorted by any column, turned as their classes lie, bad ones marked, the others saved.

import { address, get, inTurn } from "../api.js";
import { autosave } from "../autosave.js";
import { makeControls } from "../controls.js";
import { empty, h, note } from "../dom.js";
import { Gallery } from "../gallery.js";
import { recalled, remember } from "../remember.js";
import { saveJob } from "../save_job.js";

const DEFAULTS = { file: "", sort: "", reverse: false, class: 0, align: false, low_pass: 0, tile: 96, sigma: 3, captions: true, at: -1 };

export async function show(page) {
  const { job, files } = await get(`/api/particles/of/${page.parameters.job}`, page.signal);
  page.title(`particles of ${job}`);
  const settings = recalled(page.query, DEFAULTS);
  const file = settings.file || files[0];
  if (!file) {
    page.main.append(empty("This job made no particles", "Extract some from picks, or look at a job of type Extract, Class2D or Select.",
      h("a.button", { href: `/job/${job}` }, "Back to the job")));
    return;
  }
  const facts = await get(address("/api/particles", { name: file }), page.signal);
  page.main.classList.add("whole", "galleries");
  const count = h("span.count", { role: "status" });
  const state = h("span.faint.saved", {});
  const detail = h("aside.detail", { "aria-label": "This particle" });
  let order = { rows: [], values: [], sort: "", class: 0 };
  let place = new Map(); // of an id in `order`

  const gallery = new Gallery(page, {
    address: (rows, side, columns, sigma) =>
      address("/image/particles", {
        name: file, images: rows.join(","), side, columns, sigma, v: facts.tag,
        ...(settings.align ? { align: 1 } : {}), ...(settings.low_pass ? { low_pass: settings.low_pass } : {}),
      }),
    label: (row) => `particle ${row + 1}`,
    caption,
    chosen: new Set(facts.marked),
    kind: "bad",
    changed: () => {
      keeper.changed();
      counted();
    },
    looked: (row) => {
      remember({ at: row }, DEFAULTS);
      look(row);
    },
  });
  gallery.broken = new Set(facts.unreadable);

  function caption(row) {
    if (!order.sort) return String(row + 1);
    const value = order.values[place.get(row)];
    if (order.names) return order.names[value].split("/").at(-1);
    return value === null ? "–" : String(+value.toPrecision(4));
  }

  const controls = makeControls(settings, DEFAULTS, (name) => {
    if (name === "tile") gallery.setTile(settings.tile);
    else if (name === "sigma") gallery.setSigma(settings.sigma);
    else if (name === "captions") gallery.setCaptions(settings.captions);
    else if (name === "align" || name === "low_pass") gallery.refresh();
    else load();
  });
  const reverse = h("button.quiet.reverse", { "aria-pressed": settings.reverse, title: "Reverse the order (r)", onclick: turn }, arrow());

  function arrow() {
    return settings.reverse ? "↓ largest first" : "↑ smallest first";
  }

  function turn() {
    controls.set("reverse", !settings.reverse);
    reverse.textContent = arrow();
    reverse.setAttribute("aria-pressed", settings.reverse);
  }

  const classes = Array.from({ length: facts.classes }, (_, i) => [i + 1, i + 1]);
  page.main.append(
    h("div.bar", {},
      h("h1", {}, h("a", { href: `/job/${job}` }, job)),
      files.length > 1 && h("label.control", {}, h("span", {}, "File"),
        h("select", { name: "file", onchange: (event) => page.go(`${location.pathname}?${new URLSearchParams({ file: event.target.value })}`) },
          files.map((each) => h("option", { value: each, selected: each === file }, each.slice(job.length + 1))))),
      controls.choice("sort", "Sort by", [["", "order in the file"], ...facts.columns.map((name) => [name, name])]),
      reverse,
      classes.length > 0 && controls.choice("class", "Class", [[0, "all"], ...classes]),
      controls.slider("tile", "Size", 32, 256, 8, (px) => `${px} px`),
      controls.slider("sigma", "Contrast", 1, 6, 0.25, (sigma) => `±${sigma} σ`),
      facts.pixel_size && controls.number("low_pass", "Low-pass", "Å", "none"),
      facts.can_align && controls.check("align", "aligned", "Turned and shifted as their class averages lie"),
      controls.check("captions", "values", "Show the value that they are sorted by")),
    h("div.body", {}, gallery.element, detail),
    h("div.foot", {}, count, state,
      h("span.actions", {},
        h("button.quiet", { onclick: () => gallery.invert(), title: "Mark what is not marked, and the other way round (i)" }, "Invert"),
        h("button.quiet", { onclick: () => gallery.choose([]) }, "Unmark all"),
        h("button.main", { onclick: save, title: "(s)" }, "Save without the marked …"))),
  );
  gallery.tile = settings.tile;
  gallery.captions = settings.captions;
  gallery.setSigma(settings.sigma);

  const keeper = autosave(page, {
    address: address("/api/particles/marks", { name: file }),
    revision: facts.revision,
    content: () => [...gallery.chosen].sort((a, b) => a - b),
    reload: () => page.go(location.href, { replace: true }),
    shown: (word) => (state.textContent = { saved: "marks are saved", saving: "saving …", failed: "not saved", conflict: "not saved" }[word] ?? ""),
  });
  if (keeper.draft) {
    gallery.chosen = new Set(keeper.draft);
    keeper.changed();
  }

  const load = inTurn(async () => {
    const { sort, reverse: turned, class: one } = settings;
    const found = sort || one
      ? await get(address("/api/particles/order", { name: file, sort, reverse: Number(turned), class: one }), page.signal)
      : { rows: Array.from({ length: facts.count }, (_, row) => row), values: [] };
    order = { ...found, sort, class: one };
    place = new Map(order.rows.map((row, i) => [row, i]));
    reverse.hidden = !sort;
    gallery.show(order.rows);
    counted();
  });

  function counted() {
    const marked = gallery.chosen.size;
    const of = order.class ? `${order.rows.length.toLocaleString()} of ${facts.count.toLocaleString()} particles, in class ${order.class}` : `${facts.count.toLocaleString()} particles`;
    count.textContent = `${of} · ${marked ? `${marked.toLocaleString()} marked as bad` : "click bad ones to mark them"}`;
  }

  let looking = null;
  async function look(row) {
    looking = row;
    const { columns } = await get(address("/api/particles/row", { name: file, row }), page.signal);
    if (looking !== row) return;
    const side = Math.min(256, Math.max(128, facts.box));
    detail.replaceChildren(
      h("h2", {}, `Particle ${row + 1}`),
      h("img", { width: 248, height: 248, alt: "", src: gallery.sheets.address([row], side - (side % 8), 1, settings.sigma) }),
      h("dl", {}, Object.entries(columns).map(([name, value]) => [h("dt", {}, name.replace(/^rln/, "")), h("dd", {}, value)])));
  }

  async function save() {
    const left = facts.count - gallery.chosen.size;
    if (!gallery.chosen.size) return note("Nothing is marked yet: click bad particles, or use the space bar");
    await keeper.flush();
    return saveJob(page, {
      job: "select-particles",
      title: "Save without the marked",
      text: `${left.toLocaleString()} particles go into a new job's particles.star; ${gallery.chosen.size.toLocaleString()} are left out. No file is changed.`,
      values: () => ({ particles: file, selection: facts.selection }),
    });
  }

  page.key("r", "reverse the order", () => settings.sort && turn());
  page.key("i", "invert the marks", () => gallery.invert());
  page.key("a", "mark this and all above", () => gallery.chooseAbove());
  page.key("b", "mark this and all below", () => gallery.chooseBelow());
  page.key("ctrl+z", "undo", () => gallery.undo());
  page.key("s", "save without the marked", save);
  page.key("g", "go to the gallery: arrows, space marks, shift marks ranges", () => gallery.element.focus());

  await load();
  const at = order.rows.indexOf(settings.at);
  if (facts.problem) note(facts.problem, "error");
  if (facts.unreadable.length) {
    const [name, reason] = Object.entries(facts.reasons)[0] ?? ["", ""];
    note(`${facts.unreadable.length} particles cannot be shown. ${name}: ${reason}`, "error");
  }
  if (order.rows.length) look(order.rows[Math.max(0, at)]);
  if (at > 0) new ResizeObserver((_, observer) => { observer.disconnect(); requestAnimationFrame(() => gallery.goTo(at)); }).observe(gallery.element);
}
