// A score among the scores of systems that know less: the same activation, the same AR.

import { el, svg } from "./dom.js";
import { score } from "./format.js";

export const TITLES = {
  constant: "The mean vector",
  zero_vector: "The AV shown zeros",
  mean_vector: "The AV shown the mean",
  shuffled: "Another passage's explanation",
  nearest_explanation: "The nearest neighbour's explanation",
  nearest_vector: "The nearest neighbour itself",
  passage_text: "The text itself, read by the AR",
};
export const SHORT = { constant: "mean", zero_vector: "zeros", mean_vector: "AV of mean",
  shuffled: "other passage", nearest_explanation: "neighbour's", nearest_vector: "neighbour",
  passage_text: "text" };
const LOW = -1, LEFT = 8, RIGHT = 8, NARROW = 300, BESIDE = 5;
export const WIDE = 440;

/**
 * What a score is worth in one sentence: the first of the systems that reaches it.
 * @param {number} fve @param {{name: string, fve_centred_train: ?number}[]} controls
 */
export function verdict(fve, controls) {
  const known = controls.filter((one) => one.fve_centred_train !== null);
  if (fve === null || known.length === 0) return null;
  const equal = known.find((one) => one.fve_centred_train >= fve - 0.005);
  if (equal) {
    return { isGood: false, text: `${TITLES[equal.name] ?? equal.name} scores `
      + `${score(equal.fve_centred_train)}: this explanation does no better than that.` };
  }
  const best = known.reduce((one, other) => (other.fve_centred_train > one.fve_centred_train ? other : one));
  return { isGood: true, text: `None of the ${known.length} simpler systems reaches it; the best, `
    + `${lower(TITLES[best.name] ?? best.name)}, scores ${score(best.fve_centred_train)}.` };
}

/** Letters keep their size on a phone: the drawing is made narrower, not smaller. */
function usual() {
  return matchMedia("(max-width: 500px)").matches ? NARROW : WIDE;
}

/** The scores on one line. @param {?number} fve @param {object[]} controls */
export function ladder(fve, controls, width = usual()) {
  const x = (value) => LEFT + ((Math.max(LOW, value) - LOW) / (1 - LOW)) * (width - LEFT - RIGHT);
  const marks = controls.filter((one) => one.fve_centred_train !== null)
    .sort((one, other) => one.fve_centred_train - other.fve_centred_train);
  const label = `This explanation scores ${score(fve)}. `
    + marks.map((one) => `${TITLES[one.name]}: ${score(one.fve_centred_train)}`).join("; ");
  const rows = levels(marks.map((one) => [x(one.fve_centred_train), SHORT[one.name] ?? one.name]), width);
  const height = 46 + 15 * Math.max(1, ...rows.map((row) => row + 1));
  return svg("svg", { class: "ladder", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("line", { x1: x(LOW), x2: x(1), y1: 30, y2: 30, class: "axis" }),
    ...[-1, -0.5, 0, 0.5, 1].map((tick) => svg("g", {},
      svg("line", { x1: x(tick), x2: x(tick), y1: 26, y2: 34, class: tick === 0 ? "zero" : "axis" }),
      svg("text", { x: x(tick), y: 12, "text-anchor": anchor(tick), class: "tick" },
        tick === LOW ? `\u2264 ${score(tick)}` : score(tick)))),
    ...marks.map((one, place) => stem(x(one.fve_centred_train), rows[place])), // below all labels
    ...marks.map((one, place) => control(x(one.fve_centred_train), one, rows[place], width)),
    fve === null ? null : svg("circle", { cx: x(fve), cy: 30, r: 6, class: "mine" }));
}

function stem(x, row) {
  return svg("line", { x1: x, x2: x, y1: 30, y2: 40 + 15 * row, class: "stem" });
}

function control(x, one, row, width) {
  const side = x > width - 60 ? "end" : x < 60 ? "start" : "middle";
  const away = { start: BESIDE, middle: 0, end: -BESIDE }[side];
  return svg("g", { class: "control" },
    svg("circle", { cx: x, cy: 30, r: 3.5 }),
    svg("text", { x: x + away, y: 50 + 15 * row, "text-anchor": side }, SHORT[one.name] ?? one.name));
}

/** For every label the first line in which it covers no other. */
function levels(labels, width) {
  const ends = [];
  return labels.map(([x, text]) => {
    const half = 3.2 * text.length + 4;
    const [start, end] = x > width - 60 ? [x - 2 * half, x] : x < 60 ? [x, x + 2 * half] : [x - half, x + half];
    let row = ends.findIndex((taken) => taken < start);
    if (row < 0) row = ends.length;
    ends[row] = end;
    return row;
  });
}

function anchor(tick) {
  return tick === LOW ? "start" : tick === 1 ? "end" : "middle";
}

function lower(text) {
  return text.startsWith("The AV") || text.startsWith("AV") ? text.replace(/^The/u, "the")
    : text[0].toLowerCase() + text.slice(1);
}

/** The systems with their texts. @param {object[]} controls */
export function controlTable(controls) {
  return el("ul", { class: "controls-list" }, ...controls.map((one) => el("li", {},
    el("span", { class: "control-name" }, TITLES[one.name] ?? one.name),
    el("span", { class: "number" }, score(one.fve_centred_train)),
    el("p", { class: "control-text" }, one.explanation ?? one.description))));
}
