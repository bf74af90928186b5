// Events of the server, while the page can be seen: a browser opens few connections to one address.

import { ApiError } from "./api.js";
import { h } from "./dom.js";

const AGAIN = 2000;

/** What a handler asks while the server goes away, or the view is left, is of no interest: it is told again. */
function unlessAway(error) {
  if (!(error instanceof ApiError) && error.name !== "AbortError") throw error;
}

let offline = null;

/** Say, or no longer say, that the server is away. */
function away(is) {
  if (is && !offline) {
    offline = h("div.offline", { role: "alert" }, "The server does not answer. What you change is kept in this browser and sent when it is back.");
    document.getElementById("bar").after(offline);
  } else if (!is && offline) {
    offline.remove();
    offline = null;
  }
}

/** Listen while a view is shown: listen(page, { job: "AutoPick/job001" }, { project: (event) => …, job: …, file: … }).
 *  At first, and when the server was away, every kind is told once.
 *  project: the list of jobs or a status has changed; job: { status, progress, out, err } with what was added to the logs;
 *  progress (ask for it by query.progress): { "AutoPick/job001": { done, total, text } or null } of all jobs that run;
 *  file: { path, revision } of one of query.file (an address, or several). */
export function listen(page, query, handlers) {
  let source = null;
  let last = "";

  function open() {
    const all = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) all.append(name, one);
    if (last) all.set("after", last);
    source = new EventSource(`/api/live?${all}`);
    source.onopen = () => away(false);
    source.onerror = () => {
      away(true);
      if (source?.readyState !== EventSource.CLOSED) return; // else the browser tries by itself
      close();
      setTimeout(() => !page.signal.aborted && watch(), AGAIN);
    };
    for (const [name, handler] of Object.entries(handlers))
      source.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        Promise.resolve(handler(JSON.parse(event.data))).catch(unlessAway);
      });
  }

  function close() {
    source?.close();
    source = null;
  }

  function watch() {
    if (document.hidden) close();
    else if (page.signal.aborted) return;
    else if (!source) open();
  }

  document.addEventListener("visibilitychange", watch, { signal: page.signal });
  page.signal.addEventListener("abort", close);
  watch();
}
