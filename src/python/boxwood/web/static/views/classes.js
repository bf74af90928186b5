// A classification: its averages at every iteration, how it converges, and the particles of a class.

import { address, get, inTurn } from "../api.js";
import { listen } from "../changes.js";
import { bars, curves } from "../chart.js";
import { SORTS, captionOf, factsOf, inOrder, reasonsOf } from "../class_facts.js";
import { makeControls } from "../controls.js";
import { empty, h, note, renew } from "../dom.js";
import { Gallery } from "../gallery.js";
import { status } from "../parts.js";
import { recalled, remember } from "../remember.js";

// iteration -1 is the last one, also when more are made
const DEFAULTS = { iteration: -1, sort: "share", reverse: false, still: true, tile: 128, sigma: 4, captions: true, class: 0 };
const PLAY_MS = 450;
const AT_MOST = 200;
const CHECK_MS = 2000;

export async function show(page) {
  const name = page.parameters.job;
  let run = await get(`/api/classes/run/${name}`, page.signal);
  page.title(`classes of ${run.job}`);
  const again = inTurn(async () => {
    const more = await get(`/api/classes/run/${name}`, page.signal).catch(() => null);
    if (!more) return;
    const news = more.iterations.at(-1) !== run.iterations.at(-1) || more.status !== run.status;
    const none = !run.iterations.length;
    run = more;
    if (news && none) page.go(location.href, { replace: true });
    else if (news) await draw();
  });

  if (!run.iterations.length) {
    page.main.append(empty("There are no class averages yet",
      run.status === "Running" ? "They appear here as soon as the first iteration is written." : "This job wrote none. Start a classification of your particles.",
      h("a.button", { href: run.status === "Running" ? `/job/${run.job}` : "/new/class2d" }, run.status === "Running" ? "See its log" : "New classification")));
    listen(page, { job: run.job }, { job: again });
    return;
  }

  const settings = recalled(page.query, DEFAULTS);
  if (settings.iteration >= 0 && !run.iterations.includes(settings.iteration)) {
    page.main.append(empty(`${run.job} has no iteration ${settings.iteration}`, h("a.button", { href: `/classes/${run.job}` }, "See the last one")));
    return;
  }
  const known = new Map(); // iteration → what is said of it
  let now = null;
  let convergence = [];
  let last = null; // the facts of the last iteration, whose order is kept
  let playing = null;
  page.main.classList.add("whole", "galleries");

  const gallery = new Gallery(page, {
    address: (ids, side, columns, sigma) =>
      address("/image/stack", { name: now.averages, images: ids.join(","), side, columns, sigma, format: "png", v: now.tag }),
    label: (index) => `class ${index + 1}`,
    caption: (index) => captionOf(now.classes, index, settings.sort, settings.tile),
    opened: (index) => open(index + 1),
  });
  gallery.tile = settings.tile;
  gallery.captions = settings.captions;
  gallery.setSigma(settings.sigma);

  const controls = makeControls(settings, DEFAULTS, (changed) => {
    if (changed === "tile") gallery.setTile(settings.tile);
    else if (changed === "sigma") gallery.setSigma(settings.sigma);
    else if (changed === "captions") gallery.setCaptions(settings.captions);
    else arrange();
  });
  const slider = h("input.iterations", { type: "range", "aria-label": "Iteration", oninput: () => goTo(run.iterations[slider.value]) });
  const number = h("output.iteration", {});
  const play = h("button.quiet.play", { title: "Play all iterations (p)", onclick: togglePlay }, "▶");
  const state = h("span.state", {});
  const aside = h("aside.convergence", { "aria-label": "Convergence" });
  const detail = h("section.class", { hidden: true, "aria-label": "One class" });
  const charts = h("section.charts", {});
  aside.append(detail, charts);

  page.main.append(
    h("div.bar", {},
      h("h1", {}, h("a", { href: `/job/${run.job}` }, run.job)), state,
      h("span.control", {}, h("span", {}, "Iteration"), play, slider, number),
      controls.choice("sort", "Sort by", SORTS),
      controls.check("reverse", "reverse"),
      controls.check("still", "hold", "Keep every class at the place that it has in the last iteration"),
      controls.slider("tile", "Size", 40, 320, 8, (px) => `${px} px`),
      controls.slider("sigma", "Contrast", 1, 6, 0.25, (sigma) => `±${sigma} σ`),
      controls.check("captions", "numbers"),
      h("a.button.main.next", { href: `/select/${run.job}` }, "Select classes …")),
    h("div.body", {}, gallery.element, aside));

  /** The iteration that is shown. */
  const current = () => (settings.iteration < 0 ? run.iterations.at(-1) : settings.iteration);

  function facts(iteration) {
    if (!known.has(iteration))
      known.set(iteration, get(`/api/classes/iteration/${run.job}?iteration=${iteration}`, page.signal).catch((error) => {
        known.delete(iteration);
        throw error;
      }));
    return known.get(iteration);
  }

  async function goTo(iteration) {
    settings.iteration = iteration === run.iterations.at(-1) ? -1 : iteration;
    remember({ iteration: settings.iteration }, DEFAULTS);
    await draw();
  }

  async function draw() {
    const [wanted, end] = [current(), run.iterations.at(-1)];
    slider.max = run.iterations.length - 1;
    slider.value = run.iterations.indexOf(wanted);
    number.textContent = `${wanted} of ${end}`;
    state.replaceChildren(run.status === "Running" ? status(run.status) : "");
    let found;
    let latest;
    try {
      [found, latest] = await Promise.all([facts(wanted), facts(end)]);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (run.status === "Running") setTimeout(() => page.signal.aborted || draw(), CHECK_MS); // it is being written
      else note(error.message, "error");
      return;
    }
    if (wanted !== current() || end !== run.iterations.at(-1)) return; // the slider, or the job, has moved on
    [now, last] = [found, latest];
    arrange();
    if (convergence.at(-1)?.iteration !== end && end > 0) load(); // all charts are drawn at once, so that none moves from under the pointer
    else drawCharts();
    if (settings.class) drawClass();
  }

  const load = inTurn(async () => {
    try {
      convergence = await get(`/api/classes/convergence/${run.job}`, page.signal);
    } finally {
      drawCharts();
    }
  });

  function arrange() {
    const ordering = settings.still && last.classes.number.length === now.classes.number.length ? last : now;
    gallery.show(inOrder(ordering.classes, settings.sort, settings.reverse), { keep: true });
  }

  function step(by) {
    const place = run.iterations.indexOf(current()) + by;
    if (place >= 0 && place < run.iterations.length) goTo(run.iterations[place]);
  }

  function togglePlay() {
    if (playing) {
      clearInterval(playing);
      playing = null;
    } else {
      if (current() === run.iterations.at(-1)) goTo(run.iterations[0]);
      playing = setInterval(() => {
        step(1);
        if (current() === run.iterations.at(-1)) togglePlay(); // at once, else the next key would be undone
      }, PLAY_MS);
    }
    play.textContent = playing ? "❚❚" : "▶";
  }
  page.signal.addEventListener("abort", () => clearInterval(playing));

  function drawCharts() {
    const rows = convergence;
    const of = (key, factor = 1) => rows.map((row) => (row[key] === null ? null : factor * row[key]));
    const chart = (title, all, more = {}) =>
      curves({ title, x: rows.map((row) => row.iteration), curves: all.map(([label, y]) => ({ label, y })), at: current(), chosen: goTo, ...more });
    const order = inOrder(now.classes, "share", false);
    renew(charts, [
      chart(rows.at(-1)?.per_particle ? "Log-likelihood per particle" : "Log-likelihood", [["", of("log_likelihood")]],
        { zero: false, shown: (value) => (value === null ? "–" : Math.abs(value) < 1e5 ? value.toFixed(1) : value.toExponential(3)) }),
      chart("Resolution of the best class, Å", [["", of("resolution")]], { of: (y) => 1 / y }),
      bars({ title: `Class sizes in iteration ${now.iteration}, % of the particles`, ids: order, values: order.map((i) => 100 * now.classes.share[i]),
        label: (i) => `class ${i + 1}: ${(100 * now.classes.share[i]).toFixed(1)} %`, marked: settings.class - 1, chosen: (i) => open(i + 1) }),
      chart("Classes in use", [["effective number", of("classes")]]),
      chart("Particles, %", [["changed class", of("changed_classes", 100)], ["largest probability", of("largest_probability", 100)]]),
      chart("Angles, degrees", [["change", of("changed_psi")], ["accuracy", of("accuracy_psi")]]),
      chart("Offsets, Å", [["change", of("changed_offset")], ["accuracy", of("accuracy_offset")]]),
    ]);
  }

  // --- one class ---

  let members = null;
  function open(which) {
    settings.class = settings.class === which ? 0 : which;
    remember({ class: settings.class }, DEFAULTS);
    drawCharts();
    if (settings.class) drawClass();
    else closeClass();
  }

  function closeClass() {
    members?.close();
    members = null;
    detail.hidden = true;
    if (settings.class) open(settings.class);
  }

  async function drawClass() {
    const index = settings.class - 1;
    if (index < 0 || index >= now.classes.number.length) return;
    const shown = now;
    const all = shown.particles && `/particles/${run.job}?${new URLSearchParams({ file: shown.particles, class: settings.class, align: true })}`;
    const place = h("div.members", {}, h("p.faint", {}, shown.particles ? "Loading …" : "The particles of this iteration were not kept."));
    members?.close();
    detail.hidden = false;
    detail.replaceChildren(
      h("h2", {}, `Class ${settings.class}`, h("button.quiet", { title: "Close (Escape)", "aria-label": "Close", onclick: closeClass }, "✕")),
      h("div.one", {},
        h("img", { width: 148, height: 148, alt: "", src: address("/image/stack", { name: shown.averages, images: index, side: 256, columns: 1, sigma: settings.sigma, format: "png", v: shown.tag }) }),
        h("dl", {}, factsOf(shown.classes, index).map(([what, text]) => [h("dt", {}, what), h("dd", {}, text)]))),
      reasonsOf(shown.classes, index),
      place);
    if (!shown.particles) return;
    const { rows } = await get(address("/api/particles/order", { name: shown.particles, class: settings.class, sort: "rlnMaxValueProbDistribution", reverse: 1 }), page.signal)
      .catch(() => get(address("/api/particles/order", { name: shown.particles, class: settings.class }), page.signal));
    if (!detail.contains(place) || settings.class !== index + 1) return;
    members = new Gallery(page, {
      address: (ids, side, columns, sigma) =>
        address("/image/particles", { name: shown.particles, images: ids.join(","), side, columns, sigma, align: 1, low_pass: shown.classes.resolution[index] ?? 0, v: shown.tag }),
      label: (row) => `particle ${row + 1}`,
      caption: () => "",
      opened: () => page.go(all),
    });
    members.tile = 71;
    members.captions = false;
    place.replaceChildren(
      rows.length ? h("p", {}, h("a", { href: all }, `All its ${rows.length.toLocaleString()} particles`), h("span.faint", {}, " aligned, at its resolution, most certain first")) : h("p.faint", {}, "No particle is in it."),
      rows.length ? members.element : "");
    members.show(rows.slice(0, AT_MOST));
  }

  page.key("[", "iteration before", () => step(-1));
  page.key("]", "iteration after", () => step(1));
  page.key("p", "play all iterations", togglePlay);
  page.key("Escape", "close the class", () => settings.class && closeClass());
  page.key("s", "select classes", () => page.go(`/select/${run.job}`));
  page.key("g", "go to the averages: arrows, Enter opens a class", () => gallery.element.focus());
  await draw();
  listen(page, { job: run.job }, { job: again });
  // an iteration's files may be written after its line in the log
  const timer = setInterval(() => run.status === "Running" && !document.hidden && again(), CHECK_MS);
  page.signal.addEventListener("abort", () => clearInterval(timer));
}
