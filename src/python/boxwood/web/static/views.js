// The views of the page: address, module, and the word in the bar at the top for those that are entered there.
// A view may have a style sheet of its own (css: "/static/views/name.css"). One that shows a kind of job has "*job" in its
// address, says which jobs (jobs: /^AutoPick/) and what the button to it says on their page (open: "Look at the picks").
// ":name" takes one part of the address, "*name" the rest of it; the first view that fits is shown.
export const VIEWS = [
  { address: "/", module: "./views/project.js", css: "/static/views/project.css", bar: "Jobs" },
  { address: "/new", module: "./views/new.js", css: "/static/views/form.css", bar: "New job" },
  { address: "/new/:job", module: "./views/form.js", css: "/static/views/form.css" },
  { address: "/job/*job", module: "./views/job.js", css: "/static/views/job.css" },
  { address: "/classes/*job", module: "./views/classes.js", css: "/static/views/gallery.css", jobs: /^Class2D\//, open: "Look at the classes" },
  { address: "/select/*job", module: "./views/select.js", css: "/static/views/gallery.css", jobs: /^Class2D\//, open: "Select classes" },
  { address: "/particles/*job", module: "./views/particles.js", css: "/static/views/gallery.css", jobs: /^(Extract|Class2D|Select)\//, open: "Look at the particles" },
  { address: "/micrographs/*job", module: "./views/micrographs.js", css: "/static/views/picking.css", jobs: /^(ManualPick|AutoPick|CtfFind|MotionCorr)\//, open: "Micrographs" },
  { address: "/pick/*job", module: "./views/pick.js", css: "/static/views/picking.css", jobs: /^(ManualPick|AutoPick)\//, open: "Picks" },
];

/** Views that show this job ("AutoPick/job001"): [{ open, href }]. */
export function viewsOf(job) {
  return VIEWS.filter((view) => view.jobs?.test(job)).map(({ open, address }) => ({ open, href: address.replace("*job", job) }));
}
