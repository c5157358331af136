// The tokens of a figure: what was picked, in as much of the text around it as a figure has place for.

import { stepOf } from "./scale.js";
import { sentenceSites, tokensIn } from "./sites.js";

const AROUND = 150; // code points on either side of what was picked
const MOST = 900; // code points of what was picked itself; its middle is left out
const GAP = " \u2026 ";

/** @param {object} context of keep.js @returns {import("./figure_lines.js").Piece[]} */
export function excerptOf({ session, site, sample }) {
  const picked = pickedOf(session, site);
  if (picked.size === 0) return [];
  const shown = cut(session.tokens, picked);
  const stepAt = steps(session, picked, sample);
  const pieces = [];
  let at = null;
  for (const token of session.tokens) {
    if (token.fragment_index > 0) continue;
    if (!shown.has(token.position)) {
      if (at !== null || pieces.length === 0) pieces.push({ text: GAP, isGap: true });
      at = null;
      continue;
    }
    if (at !== null && token.start > at) pieces.push({ text: session.text.slice(at, token.start) });
    pieces.push(...pieceOf(token, session, picked, stepAt));
    at = Math.max(at ?? 0, token.end);
  }
  return pieces;
}

/** The tokens whose activations the explanation is of. @returns {Set<number>} */
export function pickedOf(session, site) {
  const group = ({ position, fragment_index, fragment_count }) =>
    Array.from({ length: fragment_count }, (_, n) => position - fragment_index + n);
  const places = site.kind === "whole" ? wholeOf(session) : tokensIn(site);
  return new Set(places.flatMap((place) => group(session.tokens[place])));
}

/** What a host reads of a text as a whole. */
function wholeOf(session) {
  const last = session.numRead - 1;
  const { reads } = session.host;
  if (reads === "pooled") return Array.from({ length: session.numRead }, (_, place) => place);
  if (reads !== "sentence") return [last];
  const sentences = sentenceSites(session.text, session.tokens).filter(({ to }) => to <= last);
  return sentences.length ? tokensIn(sentences[sentences.length - 1]) : [last];
}

/** A blank before a word is no part of what is coloured. */
function pieceOf(token, session, picked, stepAt) {
  const isSpecial = token.end === token.start;
  const text = isSpecial ? token.text : session.text.slice(token.start, token.end);
  const [, blank, rest] = /^([^\S\n]*)(.*)$/su.exec(text);
  const own = { isSpecial, isPicked: picked.has(token.position), step: stepAt(token) };
  if (rest === "") return [{ ...own, text }];
  return [blank && { text: blank }, { ...own, text: rest }].filter(Boolean);
}

/** The tokens to show: what was picked, without its middle where it is long, and what is near it. */
function cut(tokens, picked) {
  const all = tokens.filter(({ position }) => picked.has(position));
  const length = all.reduce((sum, { start, end }) => sum + end - start, 0);
  let before = 0;
  const middle = all.filter(({ start, end }) => {
    before += end - start;
    return length > MOST && before > MOST / 2 && before < length - MOST / 2;
  });
  const left = new Set(middle.map(({ position }) => position));
  const near = all.filter(({ position }) => !left.has(position))
    .map(({ start, end }) => [start - AROUND, end + AROUND]);
  const isNear = ({ start, end }) => near.some(([from, to]) => start >= from && end <= to);
  const isShown = (one) => (picked.has(one.position) ? !left.has(one.position) : isNear(one));
  return new Set(tokens.filter(isShown).map(({ position }) => position));
}

/** The step of a token's colour: of this explanation where it was picked, else of what is known of it. */
function steps(session, picked, sample) {
  const fveOf = (one) => (one?.done && one.explanation !== null ? one.fve_centred_train : null);
  const isOne = picked.size <= 1;
  return (token) => {
    if (picked.has(token.position)) return stepOf(fveOf(sample));
    const last = token.position + token.fragment_count - 1;
    return isOne ? stepOf(fveOf(session.at({ kind: "token", at: last })?.samples[0])) : null;
  };
}
