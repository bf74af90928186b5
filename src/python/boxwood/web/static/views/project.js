// All jobs of the project, with pictures of what they made.

import { get, post } from "../api.js";
import { empty, h, note, when } from "../dom.js";
import { live } from "../live.js";
import { fileOf, progressBar, status } from "../parts.js";

export async function show(page) {
  const filter = h("input", { type: "search", placeholder: "Find a job, alias or file ( / )", "aria-label": "Find a job", value: page.query.get("find") ?? "" });
  const heading = h("div.heading", {}, h("h1", {}, "Jobs"), filter, h("a.button.main", { href: "/new" }, "New job"));
  const runs = h("div.runs");
  const list = h("div.jobs");
  page.title("jobs");
  page.main.append(heading, runs, list);
  page.key("n", "new job", () => page.go("/new"));
  page.key("/", "find a job", () => filter.focus());
  let jobs = [];

  async function load() {
    const found = await get("/api/project", page.signal);
    jobs = found.jobs.toReversed();
    runs.replaceChildren(...found.runs.toReversed().map((run) => runLine(run, load)));
    draw();
  }

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (job) => words.every((word) => [job.name, job.alias, job.status, ...job.outputs, ...job.inputs].join(" ").toLowerCase().includes(word));
    if (!jobs.length)
      list.replaceChildren(empty("This project has no jobs yet",
        ["Begin with your micrographs, corrected for drift: ", h("a", { href: "/new/import-micrographs" }, "list them"), ", then look at them and pick. If they lie outside this folder, the page must be told that it may read them: ", h("code", {}, "boxwood ui --data FOLDER"), "."],
        ["If RELION or another program has listed them in a STAR file, with their CTF, ", h("a", { href: "/new" }, "start a job"), " with that. ", h("code", {}, "boxwood demo"), " on the command line makes a project to try."]));
    else {
      const shown = jobs.filter(fits);
      const old = new Map([...list.children].map((card) => [card.dataset.key, card]));
      list.replaceChildren(...shown.map((job) => old.get(keyOf(job)) ?? card(job)));
      if (!shown.length) list.replaceChildren(empty("No job fits", h("button", { onclick: () => { filter.value = ""; draw(); } }, "Show all")));
    }
  }

  filter.addEventListener("input", () => {
    draw();
    history.replaceState(null, "", filter.value ? `/?find=${encodeURIComponent(filter.value)}` : "/");
  });
  await load();
  live(page, { progress: 1 }, {
    project: load,
    progress: (running) => {
      for (const [name, now] of Object.entries(running))
        list.querySelector(`[data-job="${CSS.escape(name)}"] .far`)?.replaceChildren(progressBar(now) ?? "");
    },
  });
}

const keyOf = (job) => JSON.stringify(job);

function card(job) {
  const picture = h("img", {
    src: `/image/thumbnail/${job.name}?${job.ended ?? 0}-${job.status}`, alt: "", loading: "lazy", width: 240, height: 120,
    onerror: () => picture.replaceWith(h("span.nothing", {})),
  });
  return h("article.card", { "data-key": keyOf(job), "data-job": job.name },
    h("a.picture", { href: `/job/${job.name}`, tabindex: -1, "aria-hidden": "true" }, picture),
    h("div.about", {},
      h("div.name", {}, h("a", { href: `/job/${job.name}` }, job.name), job.alias && h("span.alias", {}, job.alias)),
      h("div.state", {}, status(job.status), h("span.faint", {}, when(job.ended))),
      job.status === "Running" && h("div.far")),
    h("div.files", {},
      job.inputs.map((file) => h("div", {}, h("span.arrow", { title: "reads" }, "←"), fileOf(file))),
      job.outputs.map((file) => h("div", {}, h("span.arrow", { title: "made" }, "→"), file.split("/").slice(2).join("/")))));
}

/** A command that is no job of the project: one of several jobs, or one that ended before it had a folder. */
function runLine(run, reload) {
  const act = (what) => () => post(`/api/run/${run.id}/${what}`).then(reload, (error) => note(error.message, "error"));
  return h("div.run", { "data-run": run.id },
    status(run.error ? "Failed" : run.ended ? "Succeeded" : "Running"),
    h("div", {}, h("code", {}, run.command), h("div.faint", {}, run.error || run.text)),
    run.ended ? h("button.quiet", { onclick: act("forget") }, "Dismiss") : h("button.danger", { onclick: act("stop") }, "Stop"));
}
