// What usually comes after a job, with the forms filled in as far as its files tell.

import { address } from "./api.js";

const MICROGRAPHS = /\/\w*micrographs\w*\.star$/;
const PICKS = /\/(coords_suffix_\w+|autopick|manualpick|coordinates)\.star$/;
const PARTICLES = /\/particles\w*\.star$/;
const CLASSIFIED = /^(Class2D\/job\d+)\/run\w*_data\.star$/;
const AVERAGES = /\/class_averages\.star$/;

/** Steps that go on from some micrographs: [{ text, href }]. */
export function afterMicrographs(micrographs) {
  return [
    { text: "Pick a few by hand", href: address("/new/manual-pick", { micrographs }) },
    { text: "Pick automatically", href: address("/new/autopick", { micrographs }) },
  ];
}

/** Steps that go on from a job that has succeeded. */
export function nextSteps({ name, status, inputs, outputs }) {
  if (status !== "Succeeded") return [];
  const find = (files, pattern) => files.find((file) => pattern.test(file));
  const micrographs = find(outputs, MICROGRAPHS);
  const steps = [];
  if (find(outputs, PICKS)) {
    const listed = find(inputs, MICROGRAPHS) ?? inputs.find((file) => file.endsWith(".star"));
    if (name.startsWith("ManualPick/") && listed) steps.push(afterMicrographs(listed)[1]);
    steps.push({ text: "Cut the particles out", href: address("/new/extract", { coordinates: name, ...(listed && { micrographs: listed }) }) });
  } else if (micrographs) steps.push(...afterMicrographs(micrographs));
  const classified = find(outputs, CLASSIFIED);
  if (classified) {
    steps.push({ text: "Select good classes", href: `/select/${name}` });
    steps.push({ text: "Clean the particles", href: address("/new/select-particles", { particles: classified, auto: "yes" }) });
  }
  const averages = find(outputs, AVERAGES);
  if (averages) steps.push({ text: "Pick again with these templates", href: address("/new/autopick", { method: "template", references: averages }) });
  const particles = find(outputs, PARTICLES);
  if (particles) steps.push({ text: "Classify the particles", href: address("/new/class2d", { particles }) });
  return steps;
}
