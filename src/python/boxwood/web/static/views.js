// The views of the page: address, module, and the word in the bar at the top for those that are entered there.
// A view may have a style sheet of its own (css: "/static/views/name.css"). One that shows a kind of job has "*job" in its
// address, says which jobs (jobs: /^AutoPick/), of which command (kind: "live"), or jobs that made what (file: a pattern), and what the button to it says on
// their page (open: "Look at the picks"); link(match) is where such a file is seen. classes: of jobs of that kind, those that have, or may still get, any.
// ":name" takes one part of the address, "*name" the rest of it; the first view that fits is shown.
export const VIEWS = [
  { address: "/", module: "./views/project.js", css: "/static/views/project.css", bar: "Jobs" },
  { address: "/new", module: "./views/new.js", css: "/static/views/form.css", bar: "New job" },
  { address: "/new/:job", module: "./views/form.js", css: "/static/views/form.css" },
  { address: "/job/*job", module: "./views/job.js", css: "/static/views/job.css" },
  { address: "/live/*job", module: "./views/live.js", css: "/static/views/live.css", kind: "live", open: "See it live" },
  { address: "/classes/*job", module: "./views/classes.js", css: "/static/views/gallery.css", jobs: /^Class2D\//, classes: true, open: "Look at the classes",
    file: /^(Class2D\/job\d+)\/run\w*_it(\d+)_(?:model|optimiser)\.star$/, link: ([, job, iteration]) => `/classes/${job}?iteration=${Number(iteration)}` },
  { address: "/select/*job", module: "./views/select.js", css: "/static/views/gallery.css", jobs: /^Class2D\//, classes: true, open: "Select classes" },
  { address: "/particles/*job", module: "./views/particles.js", css: "/static/views/gallery.css", jobs: /^Class2D\//, classes: true, open: "Look at the particles",
    file: /^(\w+\/job\d+)\/(?:particles\w*|run\w*_it\d+\w*_data)\.star$/, link: ([file, job]) => `/particles/${job}?file=${file}` },
  { address: "/micrographs/*job", module: "./views/micrographs.js", css: "/static/views/picking.css", jobs: /^(ManualPick|AutoPick)\//, open: "Micrographs",
    file: /^\w+\/job\d+\/\w*micrographs\w*\.star$/, link: ([file]) => `/micrographs/${file}` },
  { address: "/pick/*job", module: "./views/pick.js", css: "/static/views/picking.css", jobs: /^(ManualPick|AutoPick)\//, open: "Picks",
    file: /^((?:ManualPick|AutoPick)\/job\d+)\/(?:coords_suffix_)?(?:manualpick|autopick)\.star$/, link: ([, job]) => `/pick/${job}` },
];

/** Views that show a job (of /api/job), its kind ("autopick") or one of the files it made: [{ open, href }]. */
export function viewsOf({ name, status, outputs, kind, classes }) {
  const files = status === "Scheduled" ? [] : outputs;
  const shows = (view) => (view.jobs?.test(name) ? classes || !view.classes : (view.kind && view.kind === kind) || (view.file && files.some((file) => view.file.test(file))));
  return VIEWS.filter(shows).map(({ open, address }) => ({ open, href: address.replace("*job", name) }));
}

/** Where a file that a job made ("Extract/job002/particles.star") is seen; null if no view shows it. */
export function placeOf(file) {
  const view = VIEWS.find((one) => one.file?.test(file));
  return view ? view.link(file.match(view.file)) : null;
}
