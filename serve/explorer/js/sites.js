// What an explanation is of: the whole text as in training, a token, the mean of several tokens, the
// difference of two, or a vector of one's own.

import { tokenName } from "./format.js";
import { excerpt, sentences } from "./text.js";

/**
 * @typedef {{kind: "whole"} | {kind: "token", at: number} | {kind: "mean", from: number, to: number}
 *   | {kind: "difference", one: number, other: number} | {kind: "vector", vector: Float32Array}} Site
 */

export const WHOLE = { kind: "whole" };

/** A name by which a site is found again, in links too. @param {Site} site */
export function keyOf(site) {
  switch (site.kind) {
    case "whole": return "whole";
    case "token": return `${site.at}`;
    case "mean": return `${site.from}-${site.to}`;
    case "difference": return `${site.one}:${site.other}`;
    default: return "vector";
  }
}

/** The site of a name; null where it is none of this text. @returns {?Site} */
export function siteOf(key, numTokens) {
  const [, first, sign, second] = /^(\d+)(?:([-:])(\d+))?$/u.exec(key ?? "") ?? [];
  if (key === "whole") return WHOLE;
  const places = [first, second].filter((one) => one !== undefined).map(Number);
  if (places.length === 0 || places.some((one) => one >= numTokens)) return null;
  if (sign === "-") return { kind: "mean", from: Math.min(...places), to: Math.max(...places) };
  if (sign && places[0] === places[1]) return null; // a difference of nothing
  if (sign === ":") return { kind: "difference", one: places[0], other: places[1] };
  return { kind: "token", at: places[0] };
}

/** The tokens that a site is made of. @param {Site} site @returns {number[]} */
export function tokensIn(site) {
  switch (site.kind) {
    case "token": return [site.at];
    case "mean": return Array.from({ length: site.to - site.from + 1 }, (_, n) => site.from + n);
    case "difference": return [site.one, site.other];
    default: return [];
  }
}

/**
 * The sentences of a text as means of tokens: a token is of a sentence if a character of it is.
 * @param {import("./text.js").Text} text
 * @param {{start: number, end: number}[]} tokens in code points
 * @returns {Site[]}
 */
export function sentenceSites(text, tokens) {
  const found = [];
  let first = 0;
  for (const sentence of sentences(text.content)) {
    const site = spanSite(tokens, text.point(sentence.start), text.point(sentence.end), first);
    if (site) found.push(site);
    first = site?.to ?? first; // a token may be of two sentences
  }
  return found;
}

/** The mean of the tokens of some characters, in code points; null where there is none. @returns {?Site} */
export function spanSite(tokens, start, end, begin = 0) {
  let first = begin;
  while (first < tokens.length && Math.min(tokens[first].end, end) <= start) first += 1;
  let last = first;
  while (last < tokens.length && tokens[last].start < end) last += 1;
  return last > first ? { kind: "mean", from: first, to: last - 1 } : null;
}

/** A site in words. @param {Site} site @param {import("./session.js").Session} session */
export function siteName(site, session) {
  const { tokens } = session;
  switch (site.kind) {
    case "whole": return "The text as in training";
    case "token": return tokenName(tokens[site.at]?.text ?? "");
    case "mean": return excerpt(session.textOf(site), 64);
    case "difference": return `${tokenName(tokens[site.one].text)} \u2212 ${tokenName(tokens[site.other].text)}`;
    default: return "Your vector";
  }
}

/** Which tokens a site is made of, in words. */
export function siteTokens(site, session) {
  switch (site.kind) {
    case "token": return `token ${site.at} of ${session.tokens.length}`;
    case "mean": return `mean of tokens ${site.from} to ${site.to}`;
    case "difference": return `token ${site.one} less token ${site.other}`;
    default: return "";
  }
}
