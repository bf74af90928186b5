// Parts that several views show.

import { h } from "./dom.js";

/** A dot and the word. */
export function status(word) {
  return h(`span.status.${word}`, {}, word.toLowerCase());
}

/** How far a job is; null if nothing is known. */
export function progressBar(progress) {
  if (!progress?.total) return null;
  const { done, total, text } = progress;
  const bar = h("progress", { max: total, "aria-label": text });
  bar.value = done;
  return h("div.progress", {}, bar, h("span", {}, total === 1 ? `${text}: ${Math.round(100 * done)} %` : `${text}: ${+done.toPrecision(6)} of ${+total.toPrecision(6)}`));
}

/** A file of the project, linked to the job that made it: "AutoPick/job001" and what is below. */
export function fileOf(file) {
  const found = file.match(/^([^/]+\/job\d+)\/(.+)/);
  return found ? h("span.file", {}, h("a", { href: `/job/${found[1]}` }, found[1]), ` / ${found[2]}`) : h("span.file", {}, file);
}

/** A command line, broken between its words. */
export function commandLine(text = "") {
  const shown = h("pre.command");
  const set = (line) => shown.replaceChildren(...line.split(/( +)/).map((word) => (word.trim() ? h("span.word", {}, word) : word)));
  set(text);
  return { shown, set };
}

/** Put text where it can be pasted from. */
export function copyButton(text) {
  const button = h("button.quiet.copy", {
    title: "Copy",
    onclick: async () => {
      await navigator.clipboard.writeText(text());
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy"), 1500);
    },
  }, "copy");
  return button;
}
