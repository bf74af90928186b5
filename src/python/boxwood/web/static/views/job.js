// One job: how it stands, its log as it grows, what it read and made, and what can be done to it.

import { get, inTurn, post, put } from "../api.js";
import { autosave } from "../autosave.js";
import { listen } from "../changes.js";
import { h, note, renew, when } from "../dom.js";
import { nextSteps } from "../next.js";
import { commandLine, copyButton, fileOf, progressBar, status } from "../parts.js";
import { placeOf, viewsOf } from "../views.js";

export async function show(page) {
  const address = `/api/job/${page.parameters.job}`;
  const job = await get(address, page.signal);
  // a job of manual picking is there to be picked in
  const goOn = (now) => now.status === "Succeeded" && page.query.get("then") === "pick" && page.go(`/pick/${job.name}`, { replace: true });
  if (goOn(job)) return;
  page.title(job.alias || job.name);
  const head = h("div.state");
  const out = log(job.out);
  const err = log(job.err);
  const errors = h("details.errors", { open: true, hidden: true }, h("summary", {}, "Warnings and errors"), err.element);
  const drawn = h("div");
  const about = h("div");
  const views = h("span.views");
  const cancel = h("button.danger", { onclick: () => act(post(`${address}/cancel`).then(() => { cancel.disabled = true; note("It stops within a second or two; every file stays whole."); })) }, "Cancel");
  const alias = h("input.alias", { value: job.alias, placeholder: "no alias", "aria-label": "Alias", autocomplete: "off", onchange: rename });

  page.main.append(
    h("div.heading", {}, h("h1", {}, job.name), alias, h("div.actions", {},
      views, cancel,
      job.kind && h("a.button", { href: `/new/${job.kind}?like=${job.name}`, title: "The same form, to be changed" }, "New like this"),
      job.continues && h("a.button.continue", { href: `/new/${job.kind}?continue=${job.name}` }, "Continue"))),
    head,
    job.summary && h("p.faint", {}, job.summary),
    h("div.columns", {},
      h("div", {}, errors, h("h2", {}, "Log"), out.element, drawn),
      h("div", {}, about, noteBox(page, address, job))),
  );
  fill(job);
  drawState(job);

  function fill(found) {
    renew(drawn, [pictures(found)]);
    renew(about, facts(found));
    renew(views, viewsOf(found).map(({ open, href }) => h("a.button.main", { href }, open)));
  }

  function drawState(now) {
    renew(head, [now.lost && lost(), status(now.status), h("span.faint", {}, when(now.ended ?? job.ended)), progressBar(now.progress)]);
    cancel.hidden = now.status !== "Running";
    page.main.querySelector(".continue")?.toggleAttribute("hidden", now.status === "Running");
    if (errors.hidden === Boolean(err.text())) {
      errors.hidden = !err.text();
      requestAnimationFrame(err.end);
    }
  }

  /** It says that it runs, but its program is no more. */
  function lost() {
    const mark = () => act(post(`${address}/lost`));
    return h("span.lost", {}, "Its program has died without a word. ", h("button", { onclick: mark }, "Mark as failed"));
  }

  async function act(work) {
    try {
      return await work;
    } catch (error) {
      note(error.message, "error");
      return null;
    }
  }

  async function rename() {
    const wanted = alias.value;
    const done = await act(put(`${address}/alias`, { alias: wanted }));
    if (done) job.alias = done.alias.split("/")[1] ?? "";
    if (alias.value === wanted) alias.value = job.alias; // else it is changed again already
    if (done) note(job.alias ? `The job is also called ${done.alias}` : "The job has no alias now");
  }

  let known = job.status;
  const refill = inTurn(async () => fill(await get(address, page.signal)));
  listen(page, { job: job.name, after: job.after }, {
    project: refill, // a job may say that it has ended before the books know what it made
    job: async (now) => {
      out.add(now.out ?? "");
      err.add(now.err ?? "");
      drawState(now);
      if (now.status === known) return;
      known = now.status;
      if (!goOn(now)) await refill();
    },
  });
  page.key("l", "new job like this", () => job.kind && page.go(`/new/${job.kind}?like=${job.name}`));
}

/** A log that stays at its end while it is read there. */
function log(text) {
  const element = h("pre.log", { tabindex: 0 }, text);
  const end = () => (element.scrollTop = element.scrollHeight);
  requestAnimationFrame(end);
  return {
    element,
    end,
    text: () => element.textContent,
    add(more) {
      if (!more) return;
      const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 20;
      element.append(more);
      if (atEnd) end();
    },
  };
}

/** A file that the job made, linked to the view that shows it. */
function made(file) {
  const name = file.split("/").slice(2).join("/");
  const href = placeOf(file);
  return h("span.file", {}, href ? h("a", { href }, name) : name);
}

function facts(job) {
  const list = (title, items) => items.length > 0 && [h("h2", {}, title), h("ul.plain", {}, items.map((item) => h("li", {}, item)))];
  const settings = Object.entries(job.settings);
  const next = nextSteps(job);
  return [
    next.length > 0 && [h("h2", {}, "Next"), h("ul.next", {}, next.map(({ text, href }) => h("li", {}, h("a", { href }, text))))],
    list("Reads", job.inputs.map(fileOf)),
    list("Made", job.outputs.map(made)),
    list("Used by", job.users.map((name) => h("a", { href: `/job/${name}` }, name))),
    job.command && h("div", {}, h("h2", {}, "Command", copyButton(() => job.command)), commandLine(job.command).shown),
    settings.length > 0 && h("details", {}, h("summary", {}, "All settings"),
      h("table.settings", {}, h("tbody", {}, settings.map(([name, value]) => h("tr", {}, h("td", {}, name.replaceAll("_", " ")), h("td", {}, typeof value === "boolean" ? (value ? "yes" : "no") : String(value))))))),
    !job.kind && job.why && h("p.faint", {}, `boxwood cannot run this job again: ${job.why}`),
  ];
}

function pictures(job) {
  return job.pictures.length > 0 && [
    h("h2", {}, "Pictures"),
    h("div.pictures", {}, job.pictures.map((path) => {
      const name = path.split("/").at(-1);
      const source = `/image/job/${path.split("/").map(encodeURIComponent).join("/")}`;
      return h("figure", {}, h("a", { href: source, target: "_blank" }, h("img", { src: source, alt: name, loading: "lazy" })), h("figcaption", {}, name));
    })),
  ];
}

/** note.txt, which RELION shows too: the commands, and whatever one wants to remember. */
function noteBox(page, address, job) {
  const state = h("span.faint", {});
  const text = h("textarea.memo", { rows: 9, spellcheck: "false", "aria-label": "Note", oninput: () => keeper.changed() });
  text.value = job.note;
  const keeper = autosave(page, {
    address: `${address}/note`,
    revision: job.note_revision,
    content: () => text.value,
    reload: () => page.go(location.href, { replace: true }),
    shown: (word) => (state.textContent = word),
  });
  if (keeper.draft !== null) {
    text.value = keeper.draft;
    keeper.changed();
  }
  return [h("h2", {}, "Note", state), text];
}
