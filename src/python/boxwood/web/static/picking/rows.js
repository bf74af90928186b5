// A long list of rows of one height: only those in sight are elements.

import { h } from "../dom.js";

const SPARE = 12;

/** count: () => how many; make(i): the element of row i. `element` scrolls. */
export function longList({ height, count, make }) {
  const inner = h("div.inner");
  const element = h("div.long-list", { tabindex: 0, role: "list", onscroll: draw }, inner);
  let shown = new Map();

  function draw() {
    const [top, tall] = [element.scrollTop, element.clientHeight];
    const first = Math.max(0, Math.floor(top / height) - SPARE);
    const last = Math.min(count(), Math.ceil((top + tall) / height) + SPARE);
    const now = new Map();
    for (let i = first; i < last; i++) {
      const row = shown.get(i) ?? make(i);
      if (!shown.has(i)) {
        row.style.top = `${i * height}px`;
        inner.append(row);
      }
      now.set(i, row);
    }
    for (const [i, row] of shown) if (!now.has(i)) row.remove();
    shown = now;
  }

  /** Draw anew, after what the rows say has changed. */
  function refresh() {
    const focused = shown.size && [...shown].find(([, row]) => row.contains(document.activeElement))?.[0];
    const what = document.activeElement?.dataset.what;
    inner.style.height = `${count() * height}px`;
    for (const row of shown.values()) row.remove();
    shown = new Map();
    draw();
    if (what && shown.has(focused)) shown.get(focused).querySelector(`[data-what="${what}"]`)?.focus();
  }

  /** Scroll such that row i is seen. */
  function reveal(i) {
    const top = i * height;
    if (top < element.scrollTop || top + height > element.scrollTop + element.clientHeight) element.scrollTop = top - element.clientHeight / 2;
    draw();
  }

  new ResizeObserver(draw).observe(element);
  return { element, refresh, reveal };
}
