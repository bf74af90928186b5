// How micrographs are shown: as the job was told, until it is changed here; then the address says so.

export const DISPLAY = [
  { name: "diameter", label: "Diameter", unit: "Å", above: 0, slider: [20, 1000], log: true, title: "Of the circles; they are only shown" },
  { name: "scale", label: "Scale", above: 0, optional: "fit", title: "Screen pixels for a pixel of the micrograph; empty fits it to the window" },
  { name: "sigma_contrast", label: "Sigma contrast", unit: "σ", min: 0, slider: [0.5, 6], title: "Black and white are so many standard deviations from the mean; 0 shows the whole range" },
  { name: "white", label: "White value", title: "Grey value of white; used if it is not the one of black" },
  { name: "black", label: "Black value", title: "Grey value of black" },
  { name: "low_pass", label: "Low-pass", unit: "Å", slider: [2, 100], log: true, off: 0, title: "Leave out finer detail; -1 for none" },
  { name: "high_pass", label: "High-pass", unit: "Å", slider: [100, 5000], log: true, off: 1, title: "Leave out what changes more slowly; -1 for none" },
  { name: "pixel_size", label: "Pixel size", unit: "Å", above: 0, optional: "known", title: "Where the STAR file does not tell it" },
];
export const COLOURS = [
  { name: "color", label: "Colour by", choices: [["", "one colour"]], title: "A label of the coordinates" },
  { name: "color_star", label: "from STAR file", text: true, title: "A file of particles that has the label, if the coordinates do not" },
  { name: "blue", label: "Blue value", optional: "low ones", title: "Value that is blue" },
  { name: "red", label: "Red value", optional: "high ones", title: "Value that is red" },
];
// Automatic picking is told nothing of this; picks are coloured by their figure of merit, as far as it goes.
const AUTOPICKED = {
  sigma_contrast: 3, white: 0, black: 0, low_pass: 20, high_pass: -1, color: "rlnAutopickFigureOfMerit", blue: null, red: null,
};
const TEXTS = ["color", "color_star"];

export class Settings {
  /** facts: of /api/picks; query: of the address. */
  constructor(facts, query) {
    const { options } = facts;
    const known = { ...(facts.picks === "autopick" ? AUTOPICKED : options), diameter: facts.diameter, pixel_size: options.pixel_size };
    this.first = Object.fromEntries([...DISPLAY, ...COLOURS].map(({ name }) => [name, known[name] ?? (TEXTS.includes(name) ? "" : null)]));
    this.values = { ...this.first };
    for (const name of Object.keys(this.values)) {
      if (!query.has(name)) continue;
      const text = query.get(name);
      this.values[name] = TEXTS.includes(name) ? text : text === "" ? null : Number.isFinite(Number(text)) ? Number(text) : this.first[name];
    }
  }

  set(name, value) {
    this.values[name] = value;
  }

  reset() {
    for (const { name } of DISPLAY) this.values[name] = this.first[name];
  }

  /** What differs from the job's, for the address. */
  changed() {
    return Object.fromEntries(Object.entries(this.values).filter(([name, value]) => value !== this.first[name]).map(([name, value]) => [name, value ?? ""]));
  }
}
