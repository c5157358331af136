// A stored row as one line of a list: its score, what was written, what it was read from.

import { el } from "./dom.js";
import { score } from "./format.js";
import { stepOf } from "./scale.js";
import { Text } from "./text.js";

const AROUND = 70; // characters on both sides of what was read

/** A score on its colour. @param {?number} fve @param {boolean} isFailed */
export function chip(fve, isFailed = false) {
  const step = stepOf(fve);
  const colour = isFailed ? "failed" : step === null ? "" : `q${step}`;
  return el("span", { class: `score-chip ${colour}`, "aria-label": `FVE ${score(fve)}` }, score(fve));
}

/** Facts that a text names. @param {{fact: string, is_true: boolean}[]} claims */
export function claimChips(claims) {
  return claims.map(({ fact, is_true: isTrue }) => el("span",
    { class: `claim ${isTrue ? "right" : "wrong"}` },
    el("span", { class: "claim-sign", "aria-hidden": "true" }, isTrue ? "\u2713" : "\u2717"), fact,
    el("span", { class: "visually-hidden" }, isTrue ? " (true)" : " (false)")));
}

/** What a row has instead of an explanation. @param {object} row */
export function written(row) {
  if (row.explanation !== null) return row.explanation;
  const begun = (row.raw_text ?? "").replace(/^\s*<explanation>\s*/u, "");
  return row.is_failed ? `The tag was not closed: ${begun}` : "No text is stored of it";
}

/** Where in its passage a row was read, in words. @param {object} row */
export function whereabouts({ position, span_end: end }) {
  if (position === null || position === undefined) return "the whole passage";
  return end === null || end === undefined ? `token ${position}` : `characters ${position} to ${end}`;
}

/**
 * A passage, with what was read of it marked.
 * @param {object} row `position` and `span_end` in code points
 * @param {number} around characters beside it; all of them where it is Infinity
 * @returns {(Node|string)[]}
 */
export function passage({ text, position, span_end: end }, around = Infinity) {
  const content = new Text(text);
  if (position === null || position === undefined || end === null || end === undefined) {
    return around === Infinity || content.length <= 3 * around ? [text]
      : [`${content.slice(0, 3 * around).trimEnd()}\u2026`];
  }
  const [from, to] = [Math.max(0, position - around), Math.min(content.length, end + around)];
  // A word that is cut is left out, where words are short enough to be seen as such.
  const before = content.slice(from, position).replace(from > 0 ? /^\S{0,15}\s+/u : "", "");
  return [from > 0 ? `\u2026${before}` : before,
    el("mark", { class: "read-span" }, content.slice(position, Math.min(end, content.length))),
    to < content.length ? `${content.slice(end, to)}\u2026` : content.slice(end, content.length)]
    .filter((piece) => piece !== "");
}

/**
 * One line of the list.
 * @param {object} row @param {{title: string, isOpen: boolean, open: () => void}} shown
 */
export function rowItem(row, { title, isOpen, open }) {
  const isEmpty = row.explanation === null;
  return el("li", { class: "found-item", data: { row: row.row } },
    el("button", { type: "button", class: "found-row", "aria-expanded": String(isOpen), on: { click: open } },
      chip(row.fve_centred_own, row.is_failed),
      el("span", { class: "found-body" },
        el("span", { class: isEmpty ? "found-text none" : "found-text", dir: "auto" }, written(row)),
        row.claims.length ? el("span", { class: "claims" }, ...claimChips(row.claims)) : null,
        el("span", { class: "found-passage", dir: "auto" }, ...passage(row, AROUND))),
      el("span", { class: "found-of" },
        el("span", {}, row.host),
        el("span", {}, row.sample > 0 ? `${title} \u00b7 ${row.sample + 1}` : title))));
}
