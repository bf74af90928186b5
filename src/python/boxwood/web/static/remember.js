// What changes what is seen belongs in the address, so that a link opens the same view.

/** Put settings into the address without showing the view again; those that are as by default are left out. */
export function remember(settings, defaults) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(settings))
    if (String(value) === String(defaults[name] ?? "")) query.delete(name);
    else query.set(name, value);
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

/** The settings of an address, of the types of their defaults. */
export function recalled(query, defaults) {
  const found = {};
  for (const [name, value] of Object.entries(defaults)) {
    const text = query.get(name);
    if (text === null) found[name] = value;
    else if (typeof value === "boolean") found[name] = text === "true";
    else if (typeof value === "number") found[name] = Number.isFinite(Number(text)) ? Number(text) : value;
    else found[name] = text;
  }
  return found;
}
