// What the views of classes share: the numbers of an iteration, in words, and the ways to sort by them.

import { h } from "./dom.js";

export const SORTS = [
  ["share", "share of particles", "rlnClassDistribution"],
  ["resolution", "resolution", "rlnEstimatedResolution"],
  ["score", "score", "the probability that a class is good, docs/selection.md"],
  ["accuracy_psi", "accuracy of rotation", "rlnAccuracyRotations"],
  ["accuracy_offset", "accuracy of offset", "rlnAccuracyTranslationsAngst"],
  ["number", "class number", "rlnClassNumber"],
];
// Of these, what is small is good.
const SMALL_IS_GOOD = ["resolution", "accuracy_psi", "accuracy_offset", "number"];

/** Indices of the classes, the best first, or with `reverse` last; what is not known comes at the end. */
export function inOrder(classes, sort, reverse) {
  const values = classes[sort] ?? classes.number;
  const sign = SMALL_IS_GOOD.includes(sort) === reverse ? -1 : 1;
  return values.map((_, index) => index).sort((a, b) => {
    if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
    return sign * (values[a] - values[b]) || a - b;
  });
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const angstrom = (value) => (value === null ? "–" : `${value.toFixed(1)} Å`);

/** A line below an average, as long as the tile allows; what it is sorted by is always there. */
export function captionOf(classes, index, sort, tile) {
  const shown = {
    share: percent(classes.share[index]),
    resolution: angstrom(classes.resolution[index]),
    score: classes.score[index].toFixed(2),
    accuracy_psi: classes.accuracy_psi[index] === null ? "–" : `±${classes.accuracy_psi[index].toFixed(1)}°`,
    accuracy_offset: classes.accuracy_offset[index] === null ? "–" : `±${classes.accuracy_offset[index].toFixed(1)} Å`,
  };
  const wanted = [sort, "share", "resolution"].filter((name, i, all) => name in shown && all.indexOf(name) === i);
  return [`${index + 1}`, ...wanted.slice(0, tile < 96 ? 1 : tile < 128 ? 2 : 3).map((name) => shown[name])].slice(0, tile < 56 ? 1 : 4).join(" · ");
}

/** All that is known of a class: [[name, text]]. */
export function factsOf(classes, index) {
  const [share, size] = [classes.share[index], classes.size[index]];
  return [
    ["particles", size === null ? "not kept" : size.toLocaleString()],
    ["share", percent(share)],
    ["resolution", angstrom(classes.resolution[index])],
    ["accuracy of rotation", classes.accuracy_psi[index] === null ? "–" : `${classes.accuracy_psi[index].toFixed(2)}°`],
    ["accuracy of offset", angstrom(classes.accuracy_offset[index])],
    ["score", classes.score[index].toFixed(3)],
  ];
}

/** Why a class has its score: a list, what speaks for it and what against. */
export function reasonsOf(classes, index) {
  const reasons = classes.reasons[index].split("; ").filter(Boolean);
  return reasons.length ? h("ul.reasons", { "aria-label": "Why it has this score" }, reasons.map((reason) => h("li", {}, reason))) : "";
}
