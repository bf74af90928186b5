// A live job: what comes, the picks of the newest micrograph, and the classes as they become.

import { address, get, inTurn, post } from "../api.js";
import { listen } from "../changes.js";
import { bars, s } from "../chart.js";
import { empty, h, note, renew, when } from "../dom.js";
import { status } from "../parts.js";
import { recalled, remember } from "../remember.js";

// iteration -1 is the newest; an empty name is the newest micrograph
const DEFAULTS = { iteration: -1, micrograph: "" };
const SHOWN = 900; // pixels of a micrograph
const AVERAGE = 88; // and of a class average

const short = (name) => name.split("/").at(-1);
const seconds = (value) => (value === null ? "–" : value < 120 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`);

export async function show(page) {
  const name = page.parameters.job;
  const from = `/api/arrivals/${name}`;
  const settings = recalled(page.query, DEFAULTS);
  page.title(`live ${name}`);
  let now = null;
  let run = { iterations: [] };
  let shownPicks = "";
  let shownClasses = "";

  const facts = h("dl.facts", { "aria-label": "How it stands" });
  const state = h("span.state", {});
  const finish = h("button.main", { hidden: true, title: "Take what has come, classify all of it, and end", onclick: ask }, "Finish");
  const micrograph = h("figure.micrograph", {});
  const charts = h("div.charts", {});
  const classes = h("figure.averages", {});
  const slider = h("input", { type: "range", "aria-label": "Iteration", oninput: () => choose(run.iterations[slider.value]) });
  const number = h("output", {});
  const left = h("details.left", { hidden: true });
  page.main.classList.add("live-job");
  page.main.append(
    h("div.heading", {}, h("h1", {}, h("a", { href: `/job/${name}` }, name), " live"), state,
      h("div.actions", {}, finish, h("a.button", { href: `/classes/${name}` }, "Look at the classes"))),
    facts,
    h("div.columns", {},
      h("section", {}, h("h2", {}, "Newest micrograph"), micrograph),
      h("section", {}, h("h2", {}, "Class averages", h("span.control", {}, slider, number)), classes, charts, left)));

  const load = inTurn(async () => {
    try {
      now = await get(from, page.signal);
    } catch (error) {
      if (error.status !== 404) throw error;
      micrograph.replaceChildren(empty("Nothing has come yet", "Micrographs appear here when their files are whole."));
      return;
    }
    drawFacts();
    await Promise.all([drawMicrograph(), loadClasses()]);
  });

  function drawFacts() {
    state.replaceChildren(status(now.status));
    finish.hidden = now.status !== "Running";
    const fact = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
    facts.replaceChildren(
      fact("micrographs", now.micrographs), fact("particles", now.particles), fact("waiting", now.queue),
      fact("an hour", Math.round(now.rate)), fact("file to class", seconds(now.latency)),
      fact("left out", now.left_out.length), fact("iteration", now.iteration), fact("as of", when(now.written)));
    left.hidden = !now.left_out.length;
    const line = (one) => h("li", {}, h("b", {}, short(one.name)), ` ${one.state}: ${one.reason}`);
    renew(left, [h("summary", {}, `${now.left_out.length} left out`), h("ul.plain", {}, now.left_out.map(line))]);
  }

  /** The micrograph that was chosen, or the newest. */
  async function drawMicrograph() {
    const { recent } = now;
    if (!recent.length) return;
    const newest = () => settings.micrograph || now.recent.at(-1).name;
    const wanted = newest();
    const ids = recent.map((one) => one.name);
    const by = Object.fromEntries(recent.map((one) => [one.name, one]));
    const label = (id) => `${short(id)}: ${by[id].particles} particles, ${seconds(by[id].latency)}`;
    const chosen = (id) => {
      settings.micrograph = id === recent.at(-1).name ? "" : id;
      remember({ micrograph: settings.micrograph }, DEFAULTS);
      drawMicrograph();
    };
    const made = { ids, label, chosen, marked: wanted };
    renew(charts, [
      bars({ ...made, title: "Particles of the latest micrographs", values: recent.map((one) => one.particles) }),
      bars({ ...made, title: "Seconds from file to class", values: recent.map((one) => one.latency ?? 0) }),
    ]);
    if (shownPicks === wanted) return;
    let picks;
    try {
      picks = await get(address(`${from}/picks`, { name: wanted }), page.signal);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (wanted !== newest()) return;
      shownPicks = "";
      micrograph.replaceChildren(h("p.faint", {}, error.message));
      return;
    }
    if (wanted !== newest()) return;
    const { width, height, diameter } = picks;
    const circles = picks.x.map((x, i) => s("circle", { cx: x, cy: picks.y[i], r: diameter / 2 }));
    const drawing = s("svg", { viewBox: `0 0 ${width} ${height}` }, ...circles);
    micrograph.replaceChildren(
      h("div.picked", {}, h("img", { src: address("/image/micrograph", { name: wanted, size: SHOWN, v: picks.tag }), alt: wanted, width, height }), drawing),
      h("figcaption", {}, `${short(wanted)}: ${picks.x.length} picks`));
    shownPicks = wanted;
  }

  async function loadClasses() {
    run = await get(`/api/classes/run/${name}`, page.signal);
    await drawClasses();
  }

  function choose(iteration) {
    settings.iteration = iteration === run.iterations.at(-1) ? -1 : iteration;
    remember({ iteration: settings.iteration }, DEFAULTS);
    return drawClasses();
  }

  /** The iteration that was chosen, or the newest. */
  const current = () => (run.iterations.includes(settings.iteration) ? settings.iteration : run.iterations.at(-1));

  async function drawClasses() {
    const { iterations } = run;
    slider.parentElement.hidden = iterations.length < 2;
    if (!iterations.length) {
      classes.replaceChildren(h("p.faint", {}, "They appear when there are particles enough."));
      return;
    }
    const at = current();
    slider.max = iterations.length - 1;
    slider.value = iterations.indexOf(at);
    number.textContent = `iteration ${at}`;
    const found = await get(`/api/classes/iteration/${name}?iteration=${at}`, page.signal);
    if (at !== current() || shownClasses === found.tag) return;
    shownClasses = found.tag;
    const { share } = found.classes;
    const order = share.map((_, i) => i).sort((a, b) => share[b] - share[a]);
    const columns = Math.min(order.length, Math.max(4, Math.ceil(Math.sqrt(1.4 * order.length))));
    const sheet = { name: found.averages, images: order.join(","), side: AVERAGE, columns, sigma: 4, format: "png", v: found.tag };
    const populated = share.filter((value) => value > 0.1 / share.length).length;
    const best = Math.min(...found.classes.resolution.filter((value) => value !== null));
    classes.replaceChildren(
      h("img", { src: address("/image/stack", sheet), alt: `averages of iteration ${at}, the largest class first` }),
      h("figcaption", {}, `${populated} of ${share.length} classes with more than a tenth of their share`, Number.isFinite(best) ? `, the best at ${best.toFixed(1)} Å` : ""));
  }

  async function ask() {
    try {
      await post(`${from}/finish`);
      finish.disabled = true;
      note("It takes what has come, classifies all particles once more, and ends.");
    } catch (error) {
      note(error.message, "error");
    }
  }

  await load();
  listen(page, { job: name, file: `${name}/live.star` }, { file: load, job: load });
  page.key("f", "newest micrograph and iteration", () => {
    Object.assign(settings, DEFAULTS);
    remember(settings, DEFAULTS);
    load();
  });
}
