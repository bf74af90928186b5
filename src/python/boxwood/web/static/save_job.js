// Saving a selection is a job of the project, begun by the same form as any other.

import { post } from "./api.js";
import { h, note } from "./dom.js";
import { copyButton } from "./parts.js";

/** Ask how to save, start the job and go to it.
 *
 *  job: "select-classes"
 *  title, text: what is saved
 *  values: () => options of the job by name
 *  extra: more fields; `values` reads them */
export function saveJob(page, { job, title, text, values, extra = [] }) {
  if (page.signal.aborted) return;
  const alias = h("input", { name: "alias", autocomplete: "off", placeholder: "none" });
  const command = h("pre.command", {});
  const problem = h("p.problem", { role: "alert" });
  const start = h("button.main", { type: "submit" }, "Save");
  const filled = () => ({ values: values(), alias: alias.value, continue: "", threads: 0 });

  let newest = 0;
  async function check() {
    const number = ++newest;
    try {
      const found = await post(`/api/form/${job}/check`, filled(), page.signal);
      if (number !== newest) return;
      command.textContent = found.command;
      problem.textContent = [found.problem, ...Object.values(found.errors)].filter(Boolean).join(" ");
      start.disabled = !found.command || Object.keys(found.errors).length > 0;
    } catch (error) {
      problem.textContent = error.message;
      start.disabled = true;
    }
  }

  async function submit(event) {
    event.preventDefault();
    newest++; // what is being checked enables it no more
    start.disabled = true;
    try {
      const run = await post(`/api/form/${job}/start`, filled());
      if (run.error && !run.job) {
        problem.textContent = run.error;
        post(`/api/run/${run.id}/forget`).catch(() => {});
        start.disabled = false;
        return;
      }
      dialog.close();
      note(`Saved by ${run.job}`);
      if (page.signal.aborted) return; // somewhere else
      page.go(`/job/${run.job}`);
    } catch (error) {
      problem.textContent = error.message;
      start.disabled = false;
    }
  }

  const dialog = h("dialog.save.galleries", { onclose: () => dialog.remove() },
    h("form", { onsubmit: submit, oninput: check },
      h("h2", {}, title), h("p", {}, text), extra,
      h("label.control", {}, h("span", {}, "Alias of the job"), alias),
      h("h3", {}, "On the command line", copyButton(() => command.textContent)), command, problem,
      h("p.buttons", {}, start, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
  document.body.append(dialog);
  page.signal.addEventListener("abort", () => dialog.close());
  dialog.showModal();
  check();
}
