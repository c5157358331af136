// An explanation in which true and false statements are marked, where the truth is known.

import { el } from "./dom.js";
import { Text } from "./text.js";

/**
 * @param {string} explanation
 * @param {?{start: number, end: number, facts: {fact: string, is_true: boolean}[]}[]} clauses code points
 * @returns {(Node|string)[]}
 */
export function marked(explanation, clauses) {
  if (!clauses?.length) return [explanation];
  const text = new Text(explanation);
  const pieces = [];
  let at = 0;
  for (const clause of clauses) {
    pieces.push(text.slice(at, clause.start), mark(text.slice(clause.start, clause.end), clause.facts));
    at = clause.end;
  }
  return [...pieces, text.slice(at, text.length)].filter((one) => one !== "");
}

function mark(content, facts) {
  if (!facts.length) return content;
  const wrong = facts.filter((one) => !one.is_true);
  const title = facts.map((one) => `${one.fact}: ${one.is_true ? "true" : "false"}`).join("; ");
  return el("mark", { class: wrong.length ? "wrong" : "right", title }, content,
    el("span", { class: "mark-sign", "aria-label": wrong.length ? " (false)" : " (true)" },
      wrong.length ? "\u2717" : "\u2713"));
}
