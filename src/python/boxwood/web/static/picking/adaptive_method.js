// Adaptive picking, tried: it learns once, as work of the server's, and then a false-discovery rate cuts the peaks.

import { h } from "../dom.js";
import { fieldSet } from "./fields.js";

const ASKED = [{ name: "learn_from", label: "Learn from", min: 1, title: "So many micrographs, spread over the list" }];
const CUTS = [
  { name: "max_local_fdr", label: "Max. local FDR", above: 0, slider: [0.01, 1], title: "A peak is picked if at most this share of the peaks with its score are background: less is stricter" },
];
const DOUBTFUL = [{ name: "doubtful", label: "Doubtful ones", choices: [["", "leave out"], ["1", "pick"]], title: "Whether to pick even where nothing convincing was found" }];
const DECISIVE = ["min_diameter", "max_diameter", "white_particles", "learn_from"];
const AGAIN = 300;

export class AdaptiveMethod {
  static first = { learn_from: 6, max_local_fdr: 0.5, doubtful: "" };
  static asked = ASKED.map(({ name }) => name);
  static cuts = [...CUTS, ...DOUBTFUL].map(({ name }) => name);

  /** As for LogMethod; content(): the present settings as options; post(address, body) asks the server about the micrographs;
   *  learned(): called when it has, if that took a while. */
  constructor(values, { changed, cut, content, post, learned, signal }) {
    Object.assign(this, { values, content, post, learned, signal });
    const set = (name, value) => {
      values[name] = value;
      cut();
    };
    this.looked = Promise.resolve(); // the last request
    this.says = h("p.told", { role: "status" });
    this.bar = h("progress", { max: 1, "aria-label": "learning" });
    this.start = h("button.main", { onclick: () => this.learn() }, "Learn");
    this.stop = h("button.danger", { onclick: () => this.end() }, "Cancel");
    this.cuts = fieldSet(CUTS, values, set);
    this.doubtful = fieldSet(DOUBTFUL, values, set);
    this.element = h("div.learning", {}, this.says, this.bar, h("div.buttons", {}, this.start, this.stop),
      this.cuts.element, this.doubtful.element, fieldSet(ASKED, values, changed).element);
    this.tell({ state: "none" });
  }

  /** Whether peaks can be asked for: not before it has learned. */
  async ready() {
    if (this.settle() || this.state.state !== "ready") {
      await this.look(false);
      this.follow();
    }
    return this.state.state === "ready";
  }

  /** Take over the present settings; returns whether they are new: then what is learned with others is wanted no more. */
  settle() {
    const settings = JSON.stringify(DECISIVE.map((name) => this.values[name]));
    if (settings === this.settings) return false;
    this.end();
    this.settings = settings;
    return true;
  }

  /** Ask how far it has learned with the settings taken over, or have it begin: one request after the other, so that none
   *  overtakes another. */
  look(start) {
    const { settings } = this;
    const content = this.content();
    const ask = async () => {
      if (settings !== this.settings) return;
      const found = await this.post("/api/picks/model", { content, start });
      if (settings === this.settings) {
        this.asked = content;
        this.tell(found);
      } else if (found.state === "learning") this.cancel(content);
    };
    const answered = this.looked.then(ask);
    this.looked = answered.catch(() => {});
    return answered;
  }

  async learn() {
    this.start.disabled = true;
    try {
      this.settle();
      await this.look(true);
      if (this.state.state === "ready") this.learned();
      else this.follow();
    } catch (error) {
      this.fail(error);
    } finally {
      this.start.disabled = false;
    }
  }

  /** Look again and again while it learns. */
  async follow() {
    const { settings } = this;
    if (this.state.state !== "learning" || this.followed === settings) return;
    this.followed = settings;
    try {
      while (this.state.state === "learning" && settings === this.settings) {
        await new Promise((done) => setTimeout(done, AGAIN));
        if (this.signal.aborted) return;
        if (this.state.state === "learning" && settings === this.settings) await this.look(false);
      }
      if (this.state.state === "ready" && settings === this.settings) this.learned();
    } catch (error) {
      this.fail(error);
    } finally {
      if (this.followed === settings) this.followed = null;
    }
  }

  /** What is being learned is wanted no more. */
  end() {
    if (this.state.state === "learning") this.cancel(this.asked);
    this.tell({ state: "none" });
  }

  cancel(content) {
    this.looked = this.looked.then(() => this.post("/api/picks/model/cancel", { content })).catch(() => {}); // it may have ended
  }

  fail(error) {
    if (error.name === "AbortError") return;
    this.tell({ state: "none" });
    this.says.textContent = error.message;
  }

  tell(state) {
    this.state = state;
    this.bar.hidden = this.stop.hidden = state.state !== "learning";
    this.start.hidden = ["learning", "ready"].includes(state.state);
    this.cuts.element.hidden = state.state !== "ready";
    this.doubtful.element.hidden = state.state !== "ready" || state.convincing;
    this.bar.value = state.done ?? 0;
    this.says.textContent = inWords(state);
  }

  show() {}

  /** Which of the peaks of a micrograph are picked. */
  picks({ rate }) {
    const none = !this.state.convincing && !this.values.doubtful;
    return rate.map((value) => !none && value <= this.values.max_local_fdr);
  }
}

function inWords({ state, done, diameter, convincing, model }) {
  if (state === "learning") return `Learning: ${Math.round(100 * done)} %`;
  if (state === "nothing") return "Nothing on these micrographs looks like a particle. Check diameters and pixel size, or use the other method.";
  if (state === "none") return "This method first learns, once, what the particles look like; then its settings act at once. Without diameters it finds them.";
  const found = `Learned${model ? " by this job" : ""}: particles of ${Math.round(diameter)} Å.`;
  return convincing ? found : `${found} Their scores do not cluster as those of particles do: this may well be noise, ice or contamination, and is left out unless you pick doubtful ones.`;
}
