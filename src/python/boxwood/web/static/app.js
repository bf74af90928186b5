// The router: shows the view that belongs to the address, and the bar above it.

import { ApiError, get, post } from "./api.js";
import { settled } from "./autosave.js";
import { empty, h, note } from "./dom.js";
import { clearKeys, key, showKeys } from "./keys.js";
import { startTheme, switchTheme } from "./theme.js";
import { VIEWS } from "./views.js";

const main = document.getElementById("view");
let leaving = new AbortController();

const patterns = VIEWS.map((view) => {
  const names = [];
  const parts = view.address.split("/").map((part) => {
    if (!/^[:*]/.test(part)) return part;
    names.push(part.slice(1));
    return part[0] === ":" ? "([^/]+)" : "(.+)";
  });
  return { ...view, names, pattern: new RegExp(`^${parts.join("/")}$`) };
});

/** Show another view; a string is an address of ours. `replace` leaves no entry in the history. */
export function go(target, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  return show();
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const signal = leaving.signal;
  clearKeys();
  globalKeys();
  const path = location.pathname;
  const found = patterns.map((view) => [view, path.match(view.pattern)]).find(([, match]) => match);
  markBar(found?.[0]);
  main.replaceChildren(h("p.waiting", {}, "Loading …")); // at once: what was left takes no more clicks
  await settled();
  if (signal.aborted) return;
  try {
    if (!found) {
      title("not found");
      main.replaceChildren(empty("There is no such page", h("a", { href: "/" }, "See all jobs")));
      return;
    }
    const [view, match] = found;
    const [module] = await Promise.all([import(view.module), style(view.css)]);
    const parameters = Object.fromEntries(view.names.map((name, i) => [name, decoded(match[i + 1])]));
    const page = { main: h("div.view"), parameters, query: new URLSearchParams(location.search), signal, go, title, key };
    await module.show(page);
    if (signal.aborted) return;
    main.replaceChildren(page.main);
    main.scrollTop = 0;
    if (!main.contains(document.activeElement)) main.focus({ preventScroll: true }); // keys scroll the view
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    const known = error instanceof ApiError;
    if (!known) console.error(error);
    main.replaceChildren(
      empty(
        known ? error.message : `This page has a fault: ${error.message}`,
        h("button", { onclick: () => show() }, "Try again"),
        h("a", { href: "/" }, "See all jobs"),
      ),
    );
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ApiError("There is no such page: its address is not whole", 404);
  }
}

/** Load a view's own style sheet, once. */
function style(address) {
  if (!address || document.querySelector(`link[href="${address}"]`)) return undefined;
  return new Promise((loaded) =>
    document.head.append(h("link", { rel: "stylesheet", href: address, onload: loaded, onerror: loaded })));
}

function title(text) {
  document.title = text ? `${text} – boxwood` : "boxwood";
}

function markBar(view) {
  for (const link of document.querySelectorAll("#bar a[data-module]"))
    link.toggleAttribute("aria-current", link.dataset.module === view?.module);
}

function drawBar() {
  const links = VIEWS.filter((view) => view.bar).map((view) =>
    h("a", { href: view.address, "data-module": view.module }, view.bar),
  );
  document.getElementById("bar").append(
    h("a.home", { href: "/" }, h("img", { src: "/static/icon.svg", alt: "" }), h("span", {}, "boxwood")),
    h("nav", {}, links),
    h("span.project", { id: "project" }),
    h("button.quiet", { onclick: copyLink, title: "Copy a link for another browser", "aria-label": "Copy a link for another browser" }, "Link"),
    h("button.quiet", { onclick: showKeys, title: "Keys (?)", "aria-label": "Keys" }, "?"),
    h("button.quiet", { onclick: switchTheme, title: "Light or dark", "aria-label": "Light or dark" }, "◐"),
  );
}

/** A link to what is shown, with a token that lets in one more browser of this computer. */
async function copyLink() {
  const { token } = await post("/api/link");
  const link = new URL(location.href);
  link.searchParams.set("token", token);
  await navigator.clipboard.writeText(link.href);
  note("Copied: a link to this page, good for one more browser of this computer.");
}

function globalKeys() {
  key("?", "show these keys", showKeys);
  key("h", "all jobs", () => go("/"));
}

// Links of ours are followed without loading the page again.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.target || link.origin !== location.origin || /^\/(static|api|image|file)\//.test(link.pathname)) return;
  event.preventDefault();
  go(link.href);
});
addEventListener("popstate", show);
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault(); // what a view had asked for when it was left
  else note(event.reason?.message ?? String(event.reason), "error");
});

startTheme();
drawBar();
get("/api/project").then(
  ({ name, folder }) => {
    const shown = document.getElementById("project");
    shown.textContent = name;
    shown.title = folder;
  },
  () => {},
);
show();
