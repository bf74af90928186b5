// Controls above a gallery. Each changes one setting, which is kept in the address, and says so.

import { h } from "./dom.js";
import { remember } from "./remember.js";

/** Controls of `settings` (name → value, of `defaults`); `changed(name)` is called after one was changed.
 *  Returned functions make elements: choice("sort", "Sort by", [[value, text]]), slider("tile", "Size", 32, 256, 8, text), … */
export function makeControls(settings, defaults, changed) {
  function set(name, value) {
    settings[name] = value;
    remember({ [name]: value }, defaults);
    changed(name);
  }

  const labelled = (text, ...inside) => h("label.control", {}, h("span", {}, text), ...inside);

  return {
    set,
    choice: (name, text, options) => {
      const select = h("select", { name, onchange: () => set(name, typeof defaults[name] === "number" ? Number(select.value) : select.value) },
        options.map(([value, shown, title]) => h("option", { value, title, selected: String(value) === String(settings[name]) }, shown)));
      return labelled(text, select);
    },
    slider: (name, text, min, max, step, shown = (value) => value) => {
      const output = h("output", {}, shown(settings[name]));
      const input = h("input", { type: "range", name, min, max, step, "aria-label": text, oninput: () => {
        output.textContent = shown(Number(input.value));
        set(name, Number(input.value));
      } });
      input.value = settings[name];
      return labelled(text, input, output);
    },
    number: (name, text, unit, placeholder) => {
      const input = h("input.number", { type: "number", name, min: 0, placeholder, value: settings[name] || "", onchange: () => set(name, Math.max(0, Number(input.value)) || 0) });
      return labelled(text, input, h("span.unit", {}, unit));
    },
    check: (name, text, title) => {
      const input = h("input", { type: "checkbox", name, checked: settings[name], onchange: () => set(name, input.checked) });
      return h("label.control.check", { title }, input, h("span", {}, text));
    },
  };
}
