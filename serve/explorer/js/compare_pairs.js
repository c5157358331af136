// Which site of one host is which of another: the one of the same characters. Texts are the same;
// of a chat, templates make two texts of it, and what messages hold is what they share.

import { keyOf, spanSite } from "./sites.js";
import { sentencesOf, sitesOf } from "./units.js";

/**
 * @typedef {import("./sites.js").Site} Site
 * @typedef {import("./session.js").Session} Session
 */

/** The site of another host that has the characters of this one. @returns {?Site} */
export function counterpart(site, from, to) {
  if (site.kind === "whole") return site;
  if (site.kind === "difference") return ofDifference(site, from, to);
  if (site.kind === "vector") return from.host.tag === to.host.tag ? site : null;
  const place = sentencesOf(from).findIndex((one) => keyOf(one) === keyOf(site));
  if (place >= 0 && from.text.content === to.text.content) return sentencesOf(to)[place] ?? null;
  const [first, last] = site.kind === "token" ? [site.at, site.at] : [site.from, site.to];
  const { start } = from.tokens[first];
  const { end } = from.tokens[last];
  if (start === end) return ofSpecial(from.tokens[first], to);
  return ofCharacters(mapped(trimmed(from.text, start, end), shared(from, to)), to);
}

/**
 * Sites that are the same on both sides: sentences, or tokens that both hosts cut alike.
 * @returns {[Site, Site][]}
 */
export function pairsOf(one, other, unit) {
  const found = [];
  for (const site of sitesOf(one, unit)) {
    const there = counterpart(site, one, other);
    const back = there && there.kind === site.kind && counterpart(there, other, one);
    if (back && keyOf(back) === keyOf(site)) found.push([site, there]);
  }
  return found;
}

/**
 * Stretches that two texts have in common, in code points.
 * @returns {{from: number, to: number, length: number}[]}
 */
function shared(from, to) {
  if (from.text.content === to.text.content) return [{ from: 0, to: 0, length: from.text.length }];
  const found = [];
  for (const [place, { content }] of (from.prompt.messages ?? []).entries()) {
    const words = content.trim(); // some templates leave out the blanks around a message
    const [here, there] = [from, to].map((session) => beginning(session, place, words));
    const { length } = Array.from(words);
    if (length && here >= 0 && there >= 0) found.push({ from: here, to: there, length });
  }
  return found;
}

/** The code point at which the words of a message begin; -1 where a template has them nowhere. */
function beginning({ text, tokens }, place, words) {
  const first = tokens.find((one) => one.message_index === place && one.section === "content");
  const unit = first ? text.content.indexOf(words, text.unit(first.start)) : -1;
  return unit < 0 ? -1 : text.point(unit);
}

/** Characters of one text in the other; null where they have no part in common. */
function mapped([start, end], stretches) {
  const parts = stretches.map(({ from, to, length }) => [Math.max(start, from) - from + to,
    Math.min(end, from + length) - from + to]).filter(([first, last]) => first < last);
  return parts.length ? [parts[0][0], parts[parts.length - 1][1]] : null;
}

function ofCharacters(place, { tokens, numRead }) {
  const site = place && spanSite(tokens, ...place);
  if (!site || site.to >= numRead) return null;
  const isOne = site.to - site.from + 1 === tokens[site.to].fragment_count;
  return isOne ? { kind: "token", at: site.to } : site;
}

/** Without the blanks around it: a token of blanks alone is no part of a word. */
function trimmed(text, start, end) {
  const content = text.slice(start, end);
  if (content.trim() === "") return [start, end];
  const before = content.length - content.trimStart().length;
  const after = content.length - content.trimEnd().length;
  return [start + before, end - after]; // blanks are one code point each
}

/** A token without characters: the one of the same name at the same end of the text. */
function ofSpecial({ text, position }, { tokens, numRead }) {
  const found = tokens.filter((one) => one.start === one.end && one.text === text);
  const token = position === 0 ? found[0] : found[found.length - 1];
  return token && token.position < numRead ? { kind: "token", at: token.position } : null;
}

function ofDifference({ one, other }, from, to) {
  const found = [one, other].map((at) => counterpart({ kind: "token", at }, from, to));
  if (!found.every((site) => site?.kind === "token")) return null;
  return { kind: "difference", one: found[0].at, other: found[1].at };
}
