// Fields of a panel: a number or a word each, with a slider where one helps; values by name.

import { h } from "../dom.js";

/** fields: [{ name, label, unit, title, and perhaps min or above (range), optional (what no value means), slider: [from, to], log, off (the
 *  end of the slider, 0 or 1, that means -1), choices: [[value, text]], text: true }]; changed(name, value) is called for every new value. */
export function fieldSet(fields, values, changed) {
  const inputs = new Map();
  const rows = fields.map((field) => {
    const id = `field-${field.name}`;
    if (field.choices) {
      const select = h("select", { id, onchange: () => changed(field.name, select.value) });
      inputs.set(field.name, {
        set: (value) => (select.value = value ?? ""),
        choices: (words) => select.replaceChildren(...words.map(([value, text]) => h("option", { value }, text))),
      });
      inputs.get(field.name).choices(field.choices);
      select.value = values[field.name] ?? "";
      return h("label.knob", { title: field.title }, h("span", {}, field.label), select);
    }
    const read = (text) => (field.text ? text.trim() : text.trim() === "" ? (field.optional ? null : NaN) : Number(text));
    const box = h("input", { id, type: field.text ? "text" : "number", step: "any", autocomplete: "off", "aria-label": field.label, placeholder: field.optional ?? "", onchange: typed });
    const slider = field.slider && h("input.slider", { type: "range", min: 0, max: 1000, "aria-label": `${field.label}, slider`, oninput: slid });
    const [from, to] = field.slider ?? [];
    // One end of the slider may mean -1: no such filter.
    const toPart = (value) => {
      if (field.off !== undefined && value <= 0) return field.off;
      return field.log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
    };
    const toValue = (part) => {
      if (part === field.off) return -1;
      return field.log ? from * (to / from) ** part : from + part * (to - from);
    };

    function set(value) {
      box.value = value === null || value === undefined ? "" : typeof value === "number" ? +value.toPrecision(6) : value;
      if (slider) slider.value = Math.round(1000 * Math.min(1, Math.max(0, toPart(value))) || 0);
    }

    function typed() {
      const value = read(box.value);
      const wrong = !field.text && value !== null && (!Number.isFinite(value) || value < (field.min ?? -Infinity) || (field.above !== undefined && value <= field.above));
      box.setAttribute("aria-invalid", wrong);
      if (wrong) return;
      set(value);
      changed(field.name, value);
    }

    function slid() {
      const value = +toValue(slider.value / 1000).toPrecision(3);
      box.value = value;
      box.setAttribute("aria-invalid", false);
      changed(field.name, value);
    }

    set(values[field.name]);
    inputs.set(field.name, { set });
    return h("label.knob", { title: field.title }, h("span", {}, field.label), h("span.input", {}, slider, box, h("span.unit", {}, field.unit ?? "")));
  });
  return { element: h("div.knobs", {}, rows), set: (name, value) => inputs.get(name)?.set(value), choices: (name, words) => inputs.get(name).choices(words) };
}
