// All jobs of the project, with pictures of what they made.

import { get, inTurn, post } from "../api.js";
import { listen } from "../changes.js";
import { empty, h, keyed, note, when } from "../dom.js";
import { fileOf, progressBar, status } from "../parts.js";

export async function show(page) {
  const filter = h("input", { type: "search", placeholder: "Find a job, alias or file ( / )", "aria-label": "Find a job", value: page.query.get("find") ?? "" });
  const heading = h("div.heading", {}, h("h1", {}, "Jobs"), filter, h("a.button.main", { href: "/new" }, "New job"));
  const runs = h("div.runs");
  const list = h("div.jobs");
  const nothing = h("div");
  page.title("jobs");
  page.main.append(heading, runs, list, nothing);
  page.key("n", "new job", () => page.go("/new"));
  page.key("/", "find a job", () => filter.focus());
  let jobs = [];

  const showJobs = keyed(list, (job) => job.name, card);
  const showRuns = keyed(runs, (run) => run.id, (run) => runLine(run, load));

  const load = inTurn(async () => {
    const found = await get("/api/project", page.signal);
    jobs = found.jobs.toReversed();
    showRuns(found.runs.toReversed());
    draw();
  });

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (job) => words.every((word) => [job.name, job.alias, job.status, ...job.outputs, ...job.inputs].join(" ").toLowerCase().includes(word));
    const shown = jobs.filter(fits);
    showJobs(shown);
    nothing.replaceChildren(...(!jobs.length ? [noJobs()] : !shown.length ? [empty("No job fits", h("button", { onclick: () => { filter.value = ""; draw(); } }, "Show all"))] : []));
  }

  filter.addEventListener("input", () => {
    draw();
    history.replaceState(null, "", filter.value ? `/?find=${encodeURIComponent(filter.value)}` : "/");
  });
  await load();
  listen(page, { progress: 1 }, {
    project: load,
    progress: (running) => {
      for (const [name, now] of Object.entries(running))
        list.querySelector(`[data-job="${CSS.escape(name)}"] .far`)?.replaceChildren(progressBar(now) ?? "");
    },
  });
}

function noJobs() {
  return empty("This project has no jobs yet",
    ["Begin with your micrographs, corrected for drift: ", h("a", { href: "/new/import-micrographs" }, "list them"), ", then look at them and pick. If they lie outside this folder, the page must be told that it may read them: ", h("code", {}, "boxwood ui --data FOLDER"), "."],
    ["If RELION or another program has listed them in a STAR file, with their CTF, ", h("a", { href: "/new" }, "start a job"), " with that. ", h("code", {}, "boxwood demo"), " on the command line makes a project to try."]);
}

/** A job, in the list: { element, update(job) }. */
function card() {
  const drawn = h("a.picture", { tabindex: -1, "aria-hidden": "true" });
  const name = h("a", {});
  const alias = h("span.alias", {});
  const state = h("div.state", {});
  const far = h("div.far", {});
  const files = h("div.files", {});
  const showFiles = keyed(files, ({ file, read }) => `${read} ${file}`, fileLine);
  const element = h("article.card", {}, drawn, h("div.about", {}, h("div.name", {}, name, alias), state, far), files);
  let known = "";

  function update(job) {
    if (known === (known = JSON.stringify(job))) return;
    element.dataset.job = name.textContent = job.name;
    drawn.href = name.href = `/job/${job.name}`;
    alias.textContent = job.alias;
    alias.hidden = !job.alias;
    state.replaceChildren(status(job.status), h("span.faint", {}, when(job.ended)));
    far.hidden = job.status !== "Running";
    draw(`/image/thumbnail/${job.name}?${job.ended ?? 0}-${job.status}`);
    showFiles([...job.inputs.map((file) => ({ file, read: true })), ...job.outputs.map((file) => ({ file }))]);
  }

  function draw(src) {
    if (drawn.firstChild?.getAttribute("src") === src) return;
    const picture = h("img", { src, alt: "", loading: "lazy", width: 240, height: 120, onerror: () => picture.replaceWith(h("span.nothing", {})) });
    drawn.replaceChildren(picture);
  }

  return { element, update };
}
function fileLine({ file, read }) {
  const [arrow, title, shown] = read ? ["←", "reads", fileOf(file)] : ["→", "made", file.split("/").slice(2).join("/")];
  return { element: h("div", {}, h("span.arrow", { title }, arrow), shown) };
}

/** A command that is no job of the project: one of several jobs, or one that ended before it had a folder. */
function runLine(first, reload) {
  const act = (what) => () => post(`/api/run/${first.id}/${what}`).then(reload, (error) => note(error.message, "error"));
  const state = h("span");
  const says = h("div.faint", {});
  const dismiss = h("button.quiet", { onclick: act("forget") }, "Dismiss");
  const stop = h("button.danger", { onclick: act("stop") }, "Stop");

  function update(run) {
    state.replaceChildren(status(run.error ? "Failed" : run.ended ? "Succeeded" : "Running"));
    says.textContent = run.error || run.text;
    dismiss.hidden = !run.ended;
    stop.hidden = run.ended;
  }

  return { element: h("div.run", { "data-run": first.id }, state, h("div", {}, h("code", {}, first.command), says), h("span", {}, dismiss, stop)), update };
}
