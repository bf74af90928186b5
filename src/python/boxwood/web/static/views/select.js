// Choosing class averages, as templates and for their particles.

import { address, get } from "../api.js";
import { autosave } from "../autosave.js";
import { SORTS, captionOf, factsOf, inOrder, reasonsOf } from "../class_facts.js";
import { makeControls } from "../controls.js";
import { empty, h, note } from "../dom.js";
import { Gallery } from "../gallery.js";
import { openMenu } from "../menu.js";
import { recalled, remember } from "../remember.js";
import { saveJob } from "../save_job.js";

const DEFAULTS = { iteration: -1, sort: "share", reverse: false, tile: 128, sigma: 4, captions: true, at: 0 };
const USUAL = 0.5; // the limit of `boxwood select-classes --auto`

export async function show(page) {
  const name = page.parameters.job;
  const run = await get(`/api/classes/run/${name}`, page.signal);
  page.title(`select classes of ${run.job}`);
  if (!run.iterations.length) {
    page.main.append(empty("There are no class averages to select from", "Wait for the first iteration, or look at another job of type Class2D.",
      h("a.button", { href: `/job/${run.job}` }, "Back to the job")));
    return;
  }
  const settings = recalled(page.query, DEFAULTS);
  const asked = `iteration=${settings.iteration}`;
  const [found, chosen] = await Promise.all([
    get(`/api/classes/iteration/${run.job}?${asked}`, page.signal),
    get(`/api/classes/selection/${run.job}?${asked}`, page.signal),
  ]);
  const { classes } = found;
  const total = classes.size.reduce((sum, size) => sum + (size ?? 0), 0);
  page.main.classList.add("whole", "galleries");
  const count = h("span.count", { role: "status" });
  const state = h("span.faint.saved", {});
  const detail = h("aside.detail", { "aria-label": "This class" });
  const picture = (ids, side, columns, sigma) =>
    address("/image/stack", { name: found.averages, images: ids.join(","), side, columns, sigma, format: "png", v: found.tag });

  const gallery = new Gallery(page, {
    address: picture,
    label: (index) => `class ${index + 1}`,
    caption: (index) => captionOf(classes, index, settings.sort, settings.tile),
    chosen: new Set(chosen.selected),
    changed: () => {
      keeper.changed();
      counted();
    },
    looked: (index) => {
      remember({ at: index + 1 }, DEFAULTS);
      look(index);
    },
    menu: (index) => (found.particles ? [["Look at its particles", () => page.go(particlesOf(index))]] : []),
    opened: (index) => found.particles && page.go(particlesOf(index)),
  });
  gallery.tile = settings.tile;
  gallery.captions = settings.captions;
  gallery.setSigma(settings.sigma);

  const controls = makeControls(settings, DEFAULTS, (changed) => {
    if (changed === "iteration") page.go(location.href, { replace: true });
    else if (changed === "tile") gallery.setTile(settings.tile);
    else if (changed === "sigma") gallery.setSigma(settings.sigma);
    else if (changed === "captions") gallery.setCaptions(settings.captions);
    else arrange();
  });
  const more = h("button.quiet", { "aria-haspopup": "menu", onclick: () => {
    const { left, top } = more.getBoundingClientRect();
    openMenu(left, top - 34 * (3 + chosen.saved.length), [
      ["This and all above (a)", () => gallery.chooseAbove()],
      ["This and all below (b)", () => gallery.chooseBelow()],
      [`Score at least ${USUAL.toFixed(2)}, as by --auto`, () => gallery.choose(goodOnes(USUAL))],
      ...chosen.saved.map(({ job, selected }) => [`As saved by ${job}`, () => gallery.choose(selected)]),
    ]);
  } }, "More …");

  const limit = h("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Select by score, at least", oninput: () => {
    gallery.choose(goodOnes(Number(limit.value)));
    showLimit();
  } });
  const limitText = h("output", {});

  page.main.append(
    h("div.bar", {},
      h("h1", {}, h("a", { href: `/job/${run.job}` }, run.job)),
      controls.choice("iteration", "Iteration", [[-1, `${run.iterations.at(-1)} (last)`], ...run.iterations.slice(0, -1).toReversed().map((number) => [number, number])]),
      controls.choice("sort", "Sort by", SORTS),
      controls.check("reverse", "reverse"),
      controls.slider("tile", "Size", 40, 320, 8, (px) => `${px} px`),
      controls.slider("sigma", "Contrast", 1, 6, 0.25, (sigma) => `±${sigma} σ`),
      controls.check("captions", "numbers"),
      h("label.control", {}, h("span", {}, "Select by score, at least"), limit, limitText)),
    h("div.body", {}, gallery.element, detail),
    h("div.foot", {}, count, state,
      h("span.actions", {},
        h("a", { href: `/classes/${run.job}` }, "Iterations and curves"),
        found.particles && h("a", { href: `/new/select-particles?${new URLSearchParams({ particles: found.particles, auto: "yes" })}`,
          title: "Keep the particles that are good themselves, once each" }, "Clean particles …"),
        h("button.quiet", { onclick: () => gallery.chooseAll() }, "All"),
        h("button.quiet", { onclick: () => gallery.choose([]) }, "None"),
        h("button.quiet", { onclick: () => gallery.invert(), title: "(i)" }, "Invert"),
        more,
        h("button.main", { onclick: save, title: "(s)" }, "Save selection …"))),
  );

  const keeper = autosave(page, {
    address: `/api/classes/selection/${run.job}?${asked}`,
    revision: chosen.revision,
    content: () => [...gallery.chosen].sort((a, b) => a - b),
    reload: () => page.go(location.href, { replace: true }),
    shown: (word) => (state.textContent = { saved: "backup selection is saved", saving: "saving …", failed: "not saved", conflict: "not saved" }[word] ?? ""),
  });
  if (keeper.draft) {
    gallery.chosen = new Set(keeper.draft);
    keeper.changed();
  }

  const particlesOf = (index) =>
    `/particles/${run.job}?${new URLSearchParams({ file: found.particles, class: index + 1, align: true })}`;

  function goodOnes(limit) {
    return classes.number.map((number) => number - 1).filter((index) => classes.score[index] > 0 && classes.score[index] >= limit);
  }

  function arrange() {
    gallery.show(inOrder(classes, settings.sort, settings.reverse));
  }

  const particlesIn = (ids) => ids.reduce((sum, index) => sum + (classes.size[index] ?? 0), 0);

  function counted() {
    showLimit();
    const ids = [...gallery.chosen];
    const share = ids.reduce((sum, index) => sum + classes.share[index], 0);
    const particles = found.particles ? `${particlesIn(ids).toLocaleString()} of ${total.toLocaleString()} particles` : "";
    count.textContent = ids.length
      ? [`${ids.length} of ${classes.number.length} classes`, particles, `${(100 * (total ? particlesIn(ids) / total : share)).toFixed(1)} %`].filter(Boolean).join(" · ")
      : `${classes.number.length} classes · click good ones to select them`;
  }

  /** Have the slider say what is selected, if there is a limit that selects that: where it is, or at the worst class selected. */
  function showLimit() {
    const { chosen } = gallery;
    const selects = (value) => goodOnes(value).length === chosen.size && goodOnes(value).every((index) => chosen.has(index));
    const worst = Math.min(...[...chosen].map((index) => classes.score[index]), 1);
    const fitting = [Number(limit.value), Math.floor(100 * worst) / 100].find(selects);
    if (fitting !== undefined) limit.value = fitting;
    limitText.textContent = !gallery.chosen.size ? "none" : fitting === undefined ? "by hand" : fitting.toFixed(2);
    limit.setAttribute("aria-valuetext", limitText.textContent);
  }

  function look(index) {
    detail.replaceChildren(
      h("h2", {}, `Class ${index + 1}`),
      h("img", { width: 248, height: 248, alt: "", src: picture([index], 256, 1, settings.sigma) }),
      h("dl", {}, factsOf(classes, index).map(([what, text]) => [h("dt", {}, what), h("dd", {}, text)])),
      reasonsOf(classes, index),
      found.particles && h("p", {}, h("a", { href: particlesOf(index) }, "Look at its particles")));
  }

  async function save() {
    if (!gallery.chosen.size) return note("Nothing is selected yet: click good classes, or use the space bar");
    if (!found.particles) return note(`The particles of iteration ${found.iteration} were not kept; select from another iteration`, "error");
    await keeper.flush();
    const ids = [...gallery.chosen].sort((a, b) => a - b);
    const recenter = h("input", { type: "checkbox", name: "recenter", checked: true });
    const regroup = h("input", { type: "checkbox", name: "regroup" });
    const groups = h("input.number", { type: "number", name: "groups", min: 1, value: 1, "aria-label": "Number of groups" });
    return saveJob(page, {
      job: "select-classes",
      title: "Save the selection",
      text: `${ids.length} classes go into a new job's class_averages.star, as templates for picking, and their ${particlesIn(ids).toLocaleString()} particles into its particles.star.`,
      values: () => ({
        model: found.model, classes: ids.map((index) => index + 1).join(" "),
        recenter: recenter.checked, ...(regroup.checked ? { regroup: groups.value } : {}),
      }),
      extra: [
        h("label.control.check", {}, recenter, h("span", {}, "Re-centre the class averages (writes class_averages.mrcs)")),
        h("div.control.check", {}, h("label.control", {}, regroup, h("span", {}, "Regroup the particles, into about")), groups, h("span", {}, "groups")),
      ],
    });
  }

  page.key("i", "invert the selection", () => gallery.invert());
  page.key("a", "select this and all above", () => gallery.chooseAbove());
  page.key("b", "select this and all below", () => gallery.chooseBelow());
  page.key("ctrl+a", "select all", () => gallery.chooseAll());
  page.key("ctrl+z", "undo", () => gallery.undo());
  page.key("r", "reverse the order", () => page.main.querySelector("input[name=reverse]").click());
  page.key("s", "save the selection", save);
  page.key("g", "go to the classes: arrows, space selects, shift selects ranges", () => gallery.element.focus());

  if (chosen.problem) note(chosen.problem, "error");
  arrange();
  counted();
  const order = gallery.ids;
  const at = Math.max(0, order.indexOf(settings.at - 1));
  gallery.at = at;
  look(order[at]);
}
