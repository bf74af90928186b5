// The views of the page: address, module, and the word in the bar at the top for those that are entered there.
// A view may have a style sheet of its own (css: "/static/views/name.css").
// ":name" takes one part of the address, "*name" the rest of it; the first view that fits is shown.
export const VIEWS = [
  { address: "/", module: "./views/project.js", bar: "Jobs" },
];
