// The form of a job, made from its declared options, with the command line that it stands for.

import { get, post } from "../api.js";
import { h, note } from "../dom.js";
import { commandLine, copyButton } from "../parts.js";

const WAIT = 80;

export async function show(page) {
  const { job } = page.parameters;
  const going_on = page.query.get("continue") ?? "";
  const like = page.query.get("like") ?? "";
  const form = await get(`/api/form/${job}?${new URLSearchParams(going_on ? { continue: going_on } : like ? { like } : {})}`, page.signal);
  page.title(going_on ? `continue ${going_on}` : form.job);
  const fields = new Map(form.tabs.flatMap((tab) => tab.fields).map((field) => [field.name, makeField(field, form, going_on)]));
  for (const [name, value] of page.query) fields.get(name)?.fill(value);
  const alias = h("input", { id: "alias", name: "alias", autocomplete: "off" });
  const threads = h("input", { id: "threads", name: "threads", type: "number", min: 0, max: form.processors, placeholder: `all ${form.processors}` });
  const aliasError = h("p.error", { id: "alias-error" });
  const problem = h("p.problem", { role: "alert" });
  const command = commandLine();
  const start = h("button.main", { type: "submit" }, going_on ? "Continue" : "Start");

  const tabs = form.tabs.map((tab) => ({
    title: tab.title,
    box: h("section.tab", {}, tab.fields.map((field) => fields.get(field.name).row)),
    fields: tab.fields.map((field) => fields.get(field.name)),
  }));
  tabs.push({
    title: "Running",
    fields: [],
    box: h("section.tab", {},
      form.has_alias && !going_on && row("alias", "Alias", alias, "name of the job beside its number", aliasError),
      row("threads", "Threads", threads, "how many of this computer's processors to use")),
  });
  const buttons = tabs.map((tab, i) => h("button.quiet", { type: "button", role: "tab", onclick: () => open(i) }, tab.title));
  let opened = 0;

  function open(i) {
    opened = i;
    tabs.forEach((tab, k) => (tab.box.hidden = k !== i));
    buttons.forEach((button, k) => button.setAttribute("aria-selected", k === i));
    page.query.set("tab", tabs[i].title);
    history.replaceState(null, "", `${location.pathname}?${page.query}`);
  }

  const element = h("form.job", { onsubmit: submit, oninput: changed, onchange: changed, novalidate: true },
    h("div.fields", {}, h("div.tabs", { role: "tablist" }, buttons), tabs.map((tab) => tab.box)),
    h("aside", {},
      h("h2", {}, "On the command line", copyButton(() => command.shown.textContent)), command.shown, problem,
      h("p.buttons", {}, start, h("a.button", { href: going_on ? `/job/${going_on}` : "/" }, "Cancel"))));
  page.main.append(h("h1", {}, going_on ? `Continue ${going_on}` : `New job: ${form.job}`), h("p.faint", {}, form.summary), element);
  open(Math.max(0, tabs.findIndex((tab) => tab.title === page.query.get("tab"))));

  let timer = null;
  let newest = 0;
  let starting = false;
  const filled = () => ({
    values: Object.fromEntries([...fields].map(([name, field]) => [name, field.value()])),
    alias: alias.value, continue: going_on, threads: Number(threads.value) || 0,
  });

  function changed() {
    applyNeeds();
    clearTimeout(timer);
    timer = setTimeout(check, WAIT);
  }

  function applyNeeds() {
    for (const field of fields.values()) field.row.hidden = !applies(field, fields);
    tabs.forEach((tab, i) => (buttons[i].hidden = tab.fields.length > 0 && tab.fields.every((field) => field.row.hidden)));
  }

  async function check() {
    const number = ++newest;
    const found = await post(`/api/form/${job}/check`, filled(), starting ? undefined : page.signal);
    if (number !== newest) return found;
    if ([...fields.values()].filter((field) => field.suggest(found.suggested[field.name])).length) return check();
    complain(found);
    aliasError.textContent = found.errors.alias ?? "";
    alias.setAttribute("aria-invalid", Boolean(found.errors.alias));
    tabs.forEach((tab, i) => buttons[i].classList.toggle("wrong", tab.fields.some((field) => found.errors[field.name] || found.fields.includes(field.name) || field.missing())));
    problem.replaceChildren(found.problem, tabOf(found.fields) || "");
    command.set(found.command || "… as soon as the form is complete");
    start.disabled = starting || !found.command || Object.keys(found.errors).length > 0;
    return found;
  }

  /** A button to the tab of the fields that something is wrong with, if it is not the one that is open. */
  function tabOf(names) {
    const place = tabs.findIndex((tab) => tab.fields.some((field) => names.includes(field.name) && !field.row.hidden));
    return place >= 0 && place !== opened && h("button.quiet", { type: "button", onclick: () => open(place) }, `Show “${tabs[place].title}”`);
  }

  /** Say at its field what is wrong; what is wrong with several fields is said once in a tab. */
  function complain({ errors, problem, fields: about }) {
    for (const tab of tabs) {
      const first = tab.fields.find((field) => about.includes(field.name) && !field.row.hidden);
      for (const field of tab.fields) field.complain(errors[field.name] ?? (field === first ? problem : ""), about.includes(field.name));
    }
  }

  async function submit(event) {
    event.preventDefault();
    if (starting) return;
    starting = start.disabled = true;
    clearTimeout(timer);
    const label = start.textContent;
    start.textContent = "Starting …";
    try {
      await check(); // what it suggests for what was filled in last is started, too
      const run = await post(`/api/form/${job}/start`, filled());
      if (run.error && !run.job) {
        problem.textContent = run.error;
        post(`/api/run/${run.id}/forget`).catch(() => {});
        return;
      }
      if (page.signal.aborted) return; // somewhere else
      await page.go(run.job ? `/job/${run.job}${job === "manual-pick" ? "?then=pick" : ""}` : "/");
    } catch (error) {
      note(error.message, "error");
    } finally {
      start.textContent = label;
      starting = start.disabled = false;
    }
  }

  page.key("ctrl+enter", "start the job", () => element.requestSubmit());
  page.key("[", "previous tab", () => open((opened + tabs.length - 1) % tabs.length));
  page.key("]", "next tab", () => open((opened + 1) % tabs.length));
  applyNeeds();
  await check();
}

function applies(field, fields) {
  return !field.needs || field.needs.split(" or ").some((need) => holds(need, fields));
}

function holds(need, fields) {
  const [name, value] = need.split("=");
  const other = fields.get(name);
  if (!other || !applies(other, fields)) return false;
  const now = other.value() === "" ? other.standard : other.value();
  return value ? String(now) === value : Boolean(now);
}

function row(id, label, input, help, ...more) {
  return h("div.row", {}, h("label", { for: id }, label), h("div.input", {}, input, more), h("p.help", { id: `${id}-help` }, help));
}

/** One field: { row, value(), fill(value), suggest({ text, why }), complain(text), needs, standard }. Suggestions are followed until
 *  the field is filled in otherwise; suggest tells whether the value is another now. */
function makeField(field, form, going_on) {
  const id = `option-${field.name}`;
  const locked = form.keeps.includes(field.name) && going_on;
  const common = { id, name: field.name, "aria-describedby": `${id}-help`, disabled: Boolean(locked) };
  let input;
  if (field.type === "bool") input = h("input", { type: "checkbox", ...common });
  else if (field.choices.length)
    input = h("select", common, !field.required && field.default === "" && h("option", { value: "" }, "–"), field.choices.map((choice) => h("option", { value: choice }, choice)));
  else if (field.lines) input = h("textarea", { rows: 2, placeholder: "one a line", ...common });
  else
    input = h("input", {
      type: "text", autocomplete: "off", spellcheck: "false", placeholder: field.default || (field.required ? "needed" : ""),
      inputmode: { int: "numeric", float: "decimal" }[field.type], list: field.files.length ? `${id}-files` : null,
      class: { int: "number", float: "number" }[field.type], ...common,
    });
  const files = field.files.length > 0 && h("datalist", { id: `${id}-files` }, field.files.map((file) => h("option", { value: file })));
  const error = h("p.error", {});
  const bounded = [field.at_least, field.at_most, field.above].some((bound) => bound !== null);
  const help = [field.help, bounded && ` · ${field.expected}`];
  const tip = [field.flag, field.relion && `in RELION: ${field.relion}`].filter(Boolean).join("\n");
  const why = h("span.why", {});
  const element = h("div.row", { oninput: () => (free = false), "data-option": field.name, title: tip },
    h("label", { for: id }, field.label, field.required && h("span.needed", { title: "needed" }, "*")),
    h("div.input", {}, input, files, field.unit && h("span.unit", {}, field.unit)),
    h("p.help", { id: `${id}-help` }, help, locked && " · stays as it was begun", why),
    error);
  const one = {
    row: element, name: field.name, needs: field.needs, standard: field.default,
    missing: () => field.required && !element.hidden && one.value() === "",
    value: () => (field.type === "bool" ? input.checked : input.value),
    set: (value) => { if (field.type === "bool") input.checked = value === true || value === "true" || value === "yes"; else input.value = value ?? ""; },
    fill: (value) => { one.set(value); free = false; },
    suggest: (found) => {
      why.textContent = found ? ` · suggested: ${found.text}, ${found.why}` : "";
      const text = found?.text ?? "";
      if (!free || text === suggestion) return false;
      one.set((suggestion = text));
      return true;
    },
    complain: (text, wrong) => { error.textContent = text; input.setAttribute("aria-invalid", Boolean(text) || wrong); },
  };
  const start = form.values[field.name];
  let free = start === undefined; // nobody has filled it in
  let suggestion = "";
  one.set(start ?? (field.type === "bool" || field.choices.length ? field.default : ""));
  // the newest file that fits is the one most often meant
  if (field.required && start === undefined && field.files.length) input.value = field.files[0];
  return one;
}
