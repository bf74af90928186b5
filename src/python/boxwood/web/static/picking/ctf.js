// Thon rings of a micrograph, in a window above the page.

import { address } from "../api.js";
import { h } from "../dom.js";

/** facts: [[name, value], …] below the picture. */
export function showCtf(source, name, facts) {
  const picture = h("img", { src: address("/image/ctf", { source, name, format: "png" }), alt: `Power spectrum of ${name}`, width: 512, height: 512 });
  const dialog = h("dialog.ctf", { onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() },
    h("h2", {}, name.split("/").at(-1)),
    picture,
    h("p.sides.faint", {}, h("span", {}, "power spectrum"), facts.length > 0 && h("span", {}, "fitted CTF, squared")),
    facts.length > 0 && h("dl", {}, facts.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)))),
    h("p.buttons", {}, h("button.main", { onclick: () => dialog.close(), autofocus: true }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

const SHOWN = [
  ["rlnDefocusU", "Defocus U", "Å", 5], ["rlnDefocusV", "Defocus V", "Å", 5], ["rlnDefocusAngle", "Angle", "°", 3],
  ["rlnCtfMaxResolution", "Fitted to", "Å", 3], ["rlnCtfFigureOfMerit", "Figure of merit", "", 3], ["rlnPhaseShift", "Phase shift", "°", 3],
];

export function ctfFacts(metadata, row) {
  const known = SHOWN.filter(([label]) => Number.isFinite(metadata[label]?.[row]));
  return known.map(([label, words, unit, digits]) => [words, `${+metadata[label][row].toPrecision(digits)} ${unit}`]);
}
