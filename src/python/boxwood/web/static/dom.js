// Elements of the page, made in one expression.

/** h("button.main", { title: "…", onclick: f, disabled: false }, "text", child, [more]) makes an element.
 *  Functions become listeners, false and null attributes are left out; text is never read as HTML. */
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What to say where there is nothing: a sentence, and what to do about it. */
export function empty(title, ...hints) {
  return h("div.empty", {}, h("h2", {}, title), ...hints.map((hint) => h("p", {}, hint)));
}

/** Keeps the children of an element as a list of items is: those whose key is known are told their item anew and stay the
 *  elements they were, so that a list drawn anew swallows no click. make(item) returns { element, update(item) }; without update they stay as made. */
export function keyed(parent, keyOf, make) {
  const known = new Map();
  return (items) => {
    const keys = items.map(keyOf);
    const wanted = new Set(keys);
    for (const [key, { element }] of known) if (!wanted.has(key) && known.delete(key)) element.remove();
    items.forEach((item, i) => {
      if (!known.has(keys[i])) known.set(keys[i], make(items[i]));
      const { element, update } = known.get(keys[i]);
      update?.(item);
      if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null);
    });
  };
}

/** Give an element other children; those that look as before stay the elements they were, so that drawing them anew swallows
 *  no click. What their listeners do must be told by what they look like. */
export function renew(parent, children) {
  let place = parent.firstChild;
  for (const child of children.flat(Infinity).filter(Boolean)) {
    let same = place;
    while (same && !same.isEqualNode(child)) same = same.nextSibling;
    if (!same) parent.insertBefore(child, place);
    else {
      while (place !== same) {
        place = place.nextSibling;
        place.previousSibling.remove();
      }
      place = same.nextSibling;
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

let notes = 0;

/** A line at the edge of the page; an error stays until it is closed. */
export function note(text, kind = "info") {
  const line = h(`div.note.${kind}`, { "data-note": ++notes },
    h("span", {}, text), h("button.quiet", { title: "Close", "aria-label": "Close", onclick: () => line.remove() }, "✕"));
  document.getElementById("notes").append(line);
  if (kind === "info") setTimeout(() => line.remove(), 5000);
}

/** A time in words: today's as hour and minute. */
export function when(seconds) {
  if (!seconds) return "";
  const date = new Date(1000 * seconds);
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" });
}
