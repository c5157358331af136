// What stands between two explanations: the difference of their scores, and whose text stands for what.

import { button, el, fill } from "./dom.js";
import { crossed, crossedTable } from "./compare_crossed.js";
import { change, score } from "./format.js";

/** The column between two panels. */
export class Between {
  constructor() {
    this.difference = el("div", { class: "difference" });
    this.crossed = el("div", { class: "crossed-place" });
    this.element = el("section", { class: "between", "aria-label": "Difference" },
      this.difference, this.crossed);
  }

  /** Nothing, with a reason. @param {string} why */
  clear(why = "") {
    this.stop();
    this.shown = null;
    fill(this.difference, why && el("p", { class: "faint" }, why));
    fill(this.crossed);
  }

  /** End what is asked. */
  stop() {
    this.stopper?.abort(new DOMException("stopped", "AbortError"));
  }

  /** Draw what is new. @param {import("./compare_crossed.js").End[]} ends */
  draw(ends) {
    const samples = ends.map(({ sample }) => sample);
    if (!samples.every((one) => one?.done)) return this.clear("Waiting for both explanations");
    if (this.shown?.every((one, side) => one === samples[side])) return null;
    this.shown = samples;
    fill(this.difference, ...differenceOf(ends));
    return this.#cross(ends);
  }

  async #cross(ends) {
    this.stop();
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    fill(this.crossed, el("p", { class: "faint" }, "Reading each text for the other side"));
    try {
      const cells = await crossed(ends, signal);
      if (!signal.aborted) fill(this.crossed, crossedTable(cells, isOneHost(ends)));
    } catch (error) {
      if (signal.aborted) return;
      fill(this.crossed, el("p", { class: "faint" }, `The other side was not scored: ${error.message}`),
        button("Try again", () => this.#cross(ends), { class: "small" }));
    }
  }
}

function differenceOf(ends) {
  const [one, other] = ends.map(({ sample }) => sample.fve_centred_train);
  const isKnown = one !== null && other !== null;
  return [
    el("p", { class: "faint" }, "FVE, B \u2212 A"),
    el("p", { class: "difference-number number" }, isKnown ? change(other - one) : "\u2013"),
    el("p", { class: "faint number" }, `A ${score(one)} \u00b7 B ${score(other)}`),
    el("p", { class: "faint" }, "One row: it has no interval."),
    isOneHost(ends) ? null : el("p", { class: "faint" },
      "Two hosts: each score is of its own activation, over its own denominator."),
  ];
}

function isOneHost([one, other]) {
  return one.session.host.tag === other.session.host.tag;
}
