// The menu of the right mouse button.

import { h } from "./dom.js";

/** Show entries [text, action] at a place of the window. */
export function openMenu(x, y, entries) {
  const menu = h("div.menu", { role: "menu", popover: "auto", ontoggle: (event) => event.newState === "closed" && menu.remove() },
    entries.map(([text, action]) => h("button", { role: "menuitem", onclick: () => { menu.hidePopover(); action(); } }, text)));
  document.body.append(menu);
  menu.showPopover();
  menu.style.left = `${Math.min(x, innerWidth - menu.offsetWidth - 8)}px`;
  menu.style.top = `${Math.min(y, innerHeight - menu.offsetHeight - 8)}px`;
  menu.firstChild?.focus();
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...menu.children];
    all.at((all.indexOf(document.activeElement) + step) % all.length).focus();
  });
}
