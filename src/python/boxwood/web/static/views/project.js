// All jobs of the project.

import { get } from "../api.js";
import { empty, h, when } from "../dom.js";

export async function show(page) {
  const { jobs } = await get("/api/project", page.signal);
  page.title("jobs");
  page.main.append(h("h1", {}, "Jobs"));
  if (!jobs.length) {
    page.main.append(
      empty("This project has no jobs yet", "Start one here, on the command line, or in RELION's window."),
    );
    return;
  }
  const head = ["Job", "Status", "Last at work", "From", "Made"].map((name) => h("th", {}, name));
  page.main.append(h("table.rows.jobs", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, jobs.toReversed().map(row))));
}

function row(job) {
  const name = h("td", {}, h("a", { href: `/job/${job.name}` }, job.name), job.alias && h("div.faint", {}, job.alias));
  return h("tr", { "data-job": job.name }, name,
    h("td", {}, h(`span.status.${job.status}`, {}, job.status.toLowerCase())),
    h("td", {}, when(job.ended)),
    h("td", {}, job.inputs.map((file) => h("div", {}, from(file)))),
    h("td", {}, job.outputs.map((file) => h("div", {}, file.split("/").slice(2).join("/")))));
}

/** A file that is read, linked to the job that made it. */
function from(file) {
  const job = file.match(/^([^/]+\/job\d+)\/(.+)/);
  return job ? [h("a", { href: `/job/${job[1]}` }, job[1]), ` ${job[2]}`] : file;
}
