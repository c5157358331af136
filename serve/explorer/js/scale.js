// The colour of a score. Fixed places, the same for every text: nothing is stretched to what is
// there. Blue is above the mean vector and orange below it, so that red and green mean nothing, and
// steps are few enough to be told apart.

import { el } from "./dom.js";
import { score } from "./format.js";

/** Least score of each step, from the lowest; 0 is what the mean vector scores on average. */
export const STEPS = [-Infinity, -0.5, 0, 0.25, 0.5, 0.75];

/** The step of a score: a class of css/read.css. @param {?number} fve */
export function stepOf(fve) {
  if (fve === null || fve === undefined) return null;
  return STEPS.findLastIndex((least) => fve >= least);
}

/** What the colours mean, in a row. @returns {HTMLElement} */
export function legend() {
  const names = STEPS.map((least, step) => {
    if (step === 0) return `below ${score(STEPS[1])}`;
    return step === STEPS.length - 1 ? `${score(least)} and more` : `${score(least)}`;
  });
  return el("div", { class: "legend", role: "img", "aria-label":
      "Colours: orange below 0, blue above it; 0 is what the mean vector scores on average, 1 is perfect" },
    el("span", { class: "legend-title" }, "FVE"),
    ...names.map((name, step) => el("span", { class: `legend-step q${step}` }, name)),
    el("span", { class: "legend-step failed" }, "no explanation"));
}
