// Keys of the view that is shown.

import { h } from "./dom.js";

let keys = new Map();

export function clearKeys() {
  keys = new Map();
}

/** Let a key do something while this view is shown: key("n", "next micrograph", next), key("ctrl+z", "undo", undo).
 *  Keys typed into a field stay there, except with ctrl. */
export function key(name, meaning, action) {
  keys.set(name.toLowerCase(), { name, meaning, action });
}

addEventListener("keydown", (event) => {
  const modified = event.ctrlKey || event.metaKey;
  const typing = event.target.closest?.("input:not([type=checkbox], [type=range]), textarea, select");
  if (event.defaultPrevented || event.altKey || (typing && !modified) || document.querySelector("dialog[open]")) return;
  const shift = event.shiftKey && (modified || event.key.length > 1);
  const found = keys.get(`${modified ? "ctrl+" : ""}${shift ? "shift+" : ""}${event.key.toLowerCase()}`);
  if (!found) return;
  event.preventDefault();
  found.action(event);
});

/** A list of the keys that do something here. */
export function showKeys() {
  const rows = [...keys.values()].map(({ name, meaning }) =>
    h("tr", {}, h("td", {}, h("kbd", {}, name)), h("td", {}, meaning)),
  );
  const dialog = h("dialog.keys", { onclose: () => dialog.remove(), onclick: () => dialog.close() },
    h("h2", {}, "Keys"), h("table", {}, h("tbody", {}, rows)));
  document.body.append(dialog);
  dialog.showModal();
}
