// An explanation in which true and false statements are marked, where the truth is known.

import { el } from "./dom.js";
import { Text } from "./text.js";

/**
 * An explanation in pieces, its statements marked.
 * @param {string} explanation
 * @param {?{start: number, end: number, fact: string, is_true: boolean}[]} clauses in code points,
 *   in the order of the text; one a fact, so that several may be of the same characters
 * @returns {(Node|string)[]}
 */
export function marked(explanation, clauses) {
  if (!clauses?.length) return [explanation];
  const text = new Text(explanation);
  const pieces = [];
  let at = 0;
  for (const { start, end, facts } of bySpan(clauses)) {
    pieces.push(text.slice(at, start), mark(text.slice(start, end), facts));
    at = end;
  }
  return [...pieces, text.slice(at, text.length)].filter((one) => one !== "");
}

function bySpan(clauses) {
  const found = [];
  for (const { start, end, ...fact } of clauses) {
    const last = found[found.length - 1];
    if (last?.start === start) last.facts.push(fact);
    else found.push({ start, end, facts: [fact] });
  }
  return found;
}

function mark(content, facts) {
  const isWrong = facts.some((one) => !one.is_true);
  const title = facts.map((one) => `${one.fact}: ${one.is_true ? "true" : "false"}`).join("; ");
  // The sign behind it is of the style sheet: what is copied is the explanation.
  return el("mark", { class: isWrong ? "wrong" : "right", title }, content);
}
