// The texts that an explanation is doubted by: without one of its parts, its beginnings, the same
// with another claim in a part's place; and what was changed between two texts. Knows no score.

import { sentences, without } from "./text.js";

export const MOST_PARTS = 24; // more rows than that nobody reads
export const MOST_SWAPS = 24; // of one part
export const MOST_FOREIGN = 12; // parts of other explanations that are offered for one
const MOST_CELLS = 4e6; // of the table that a difference is found by

// Clauses end at a mark before a space, so that 10:30 and 1,000 stay whole; marks of writing without
// spaces need none; every line ends one.
const UNSPACED = "[\\u3001\\u3002\\uff0c\\uff1b\\uff1a\\uff01\\uff1f\\u060c\\u061b\\u061f\\u0964]";
const CLAUSE_END = new RegExp(`[,;:]+["')\\]]*(?=\\s|$)|${UNSPACED}+|[\\r\\n]+`, "gu");

/**
 * @typedef {{start: number, end: number, text: string}} Part in UTF-16 units
 * @typedef {"sentence"|"clause"|"word"} Unit what parts are
 * @typedef {{text: string, part: string, from: string, to: string, source: string}} Swap `text` is the
 *   whole explanation with `part` in place of one of its own; `to` stands there for `from`
 */

/**
 * An explanation in parts: its sentences; of one sentence its clauses, of one clause its words.
 * @param {string} content
 * @param {number} most neighbours become one part beyond it, the shortest first
 * @returns {{parts: Part[], unit: Unit, numFound: number}}
 */
export function partsOf(content, most = MOST_PARTS) {
  const found = [["sentence", sentences], ["clause", clauses], ["word", wordParts]]
    .map(([unit, cut]) => ({ unit, parts: trimmed(content, cut(content)) }));
  const { unit, parts } = found.find((one) => one.parts.length > 1) ?? found[0];
  return { parts: merged(content, parts, most), unit, numFound: parts.length };
}

/**
 * Every text whose score is needed, each once, and where the scores of which stand.
 * @param {string} content @param {Part[]} parts
 * @returns {{texts: string[], whole: number, dropped: (?number)[], beginnings: number[]}} places in
 *   `texts`; null where nothing would be left
 */
export function asked(content, parts) {
  const texts = [content];
  const placeOf = (text) => {
    if (text.trim() === "") return null;
    if (!texts.includes(text)) texts.push(text);
    return texts.indexOf(text);
  };
  return { texts, whole: 0, dropped: dropped(content, parts).map(placeOf),
    beginnings: beginnings(content, parts).map(placeOf) };
}

/** The text without each of its parts. @param {string} content @param {Part[]} parts */
export function dropped(content, parts) {
  return parts.map((part) => without(content, part));
}

/** The text up to the end of each part; the last is the whole. */
export function beginnings(content, parts) {
  const last = parts.length - 1;
  return parts.map(({ end }, place) => (place === last ? content : content.slice(0, end)));
}

/** The text with something else in a part's place. @param {string} content @param {Part} part */
export function replaced(content, part, text) {
  return content.slice(0, part.start) + text + content.slice(part.end);
}

/**
 * The same text with a claim of the part made false: the true value's word by each other value of its kind.
 * @param {string} content
 * @param {Part} part
 * @param {string[]} facts what holds, each kind=value
 * @param {Record<string, string[]>} kinds the values that each kind may have
 * @returns {Swap[]}
 */
export function falseSwaps(content, part, facts, kinds) {
  const held = facts.map((fact) => [fact.slice(0, fact.indexOf("=")), fact.slice(fact.indexOf("=") + 1)]);
  return held.filter(([kind, value]) => value.trim() !== "" && Object.hasOwn(kinds, kind))
    .flatMap(([kind, value]) => {
      const word = wordOf(value);
      if (part.text.search(word) < 0) return [];
      const isHeld = (other) => held.some(([one, own]) => one === kind && same(own) === same(other));
      return kinds[kind].filter((other) => other.trim() !== "" && !isHeld(other)).map((other) => {
        const text = part.text.replace(word, (found) => cased(other, found));
        return { text: replaced(content, part, text), part: text, from: value, to: other, source: kind };
      });
    });
}

/** Whether a word stands in another part as well, where a swap leaves it. */
export function isElsewhere(word, part, parts) {
  return parts.some((one) => one.start !== part.start && one.text.search(wordOf(word)) >= 0);
}

/**
 * The same text with parts of other explanations in a part's place: those that are nearest in length,
 * so that the length is not what changes the score.
 * @param {string} content @param {Part} part
 * @param {{explanation: string, source: string}[]} others
 * @returns {Swap[]}
 */
export function foreignSwaps(content, part, others, most = MOST_FOREIGN) {
  const own = partsOf(content, Infinity).parts.map(({ text }) => text);
  const known = new Set([content, part.text, ...own].map(same));
  const found = [];
  for (const { explanation, source } of others) {
    for (const { text } of partsOf(explanation).parts) {
      if (known.has(same(text))) continue;
      known.add(same(text));
      found.push({ text: replaced(content, part, text), part: text, from: part.text, to: text, source });
    }
  }
  const away = ({ part: { length } }) => Math.abs(length - part.text.length);
  return found.sort((one, other) => away(one) - away(other)).slice(0, most);
}

/** As many as are wanted, evenly from all, the first among them. @template T @param {T[]} all */
export function spread(all, most = MOST_SWAPS) {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, n) => all[Math.floor((n * all.length) / most)]);
}

/**
 * What was changed, word by word; spaces do not count.
 * @param {string} original @param {string} edited
 * @returns {{kind: "same"|"deleted"|"added", text: string, isApart: boolean}[]} in the order of reading,
 *   what is deleted before what was added in its place; `isApart`: a space stands before it
 */
export function difference(original, edited) {
  const [old, now] = [wordsOf(original), wordsOf(edited)];
  const isSame = (one, other) => old[one].text === now[other].text;
  let head = 0, tail = 0;
  const shorter = Math.min(old.length, now.length);
  while (head < shorter && isSame(head, head)) head += 1;
  while (tail < shorter - head && isSame(old.length - 1 - tail, now.length - 1 - tail)) tail += 1;
  const middle = changes(old.slice(head, old.length - tail), now.slice(head, now.length - tail));
  return joined([...marked("same", now.slice(0, head)), ...middle,
    ...marked("same", now.slice(now.length - tail))]);
}

/** Words and marks of a text, each with whether a space stands before it. */
function wordsOf(content) {
  const found = [];
  let isApart = false;
  for (const { segment } of new Intl.Segmenter("en", { granularity: "word" }).segment(content)) {
    if (segment.trim() === "") isApart = true;
    else {
      found.push({ text: segment, isApart });
      isApart = false;
    }
  }
  return found;
}

/** The longest common subsequence, by the usual table, and what is beside it. */
function changes(old, now) {
  if (old.length * now.length > MOST_CELLS) return [...marked("deleted", old), ...marked("added", now)];
  const width = now.length + 1;
  const longest = new Uint16Array((old.length + 1) * width); // of what begins at both places
  for (let one = old.length - 1; one >= 0; one -= 1) {
    for (let other = now.length - 1; other >= 0; other -= 1) {
      longest[one * width + other] = old[one].text === now[other].text
        ? longest[(one + 1) * width + other + 1] + 1
        : Math.max(longest[(one + 1) * width + other], longest[one * width + other + 1]);
    }
  }
  const found = [];
  let one = 0, other = 0;
  while (one < old.length && other < now.length) {
    if (old[one].text === now[other].text) {
      found.push({ kind: "same", word: now[other] });
      [one, other] = [one + 1, other + 1];
    } else if (longest[(one + 1) * width + other] >= longest[one * width + other + 1]) {
      found.push({ kind: "deleted", word: old[one++] });
    } else found.push({ kind: "added", word: now[other++] });
  }
  return [...found, ...marked("deleted", old.slice(one)), ...marked("added", now.slice(other))];
}

function marked(kind, words) {
  return words.map((word) => ({ kind, word }));
}

/** Neighbours of one kind as one piece. */
function joined(words) {
  const pieces = [];
  for (const { kind, word } of words) {
    const last = pieces[pieces.length - 1];
    const space = word.isApart ? " " : "";
    if (last?.kind === kind) last.text += space + word.text;
    else pieces.push({ kind, text: word.text, isApart: word.isApart });
  }
  return pieces;
}

function clauses(content) {
  const found = [];
  let start = 0;
  for (const match of content.matchAll(CLAUSE_END)) {
    found.push({ start, end: match.index + match[0].length });
    start = match.index + match[0].length;
  }
  return [...found, { start, end: content.length }];
}

/** What stands between spaces; of writing without spaces the words, each with the marks behind it. */
function wordParts(content) {
  const found = [...content.matchAll(/\S+/gu)]
    .map((match) => ({ start: match.index, end: match.index + match[0].length }));
  if (found.length > 1) return found;
  const starts = [...new Intl.Segmenter("en", { granularity: "word" }).segment(content)]
    .filter(({ isWordLike }) => isWordLike).map(({ index }) => index);
  return starts.map((start, place) => ({ start: place === 0 ? 0 : start,
    end: starts[place + 1] ?? content.length }));
}

/** Parts without the space around them, and none that is space alone. */
function trimmed(content, parts) {
  return parts.map(({ start, end }) => {
    const text = content.slice(start, end);
    const from = start + (text.length - text.trimStart().length);
    return { start: from, end: from + text.trim().length, text: text.trim() };
  }).filter(({ text }) => text !== "");
}

/** At most so many parts: again and again the shortest two neighbours become one. */
function merged(content, parts, most) {
  const found = [...parts];
  while (found.length > most) {
    let best = 0;
    for (let place = 1; place < found.length - 1; place += 1) {
      const length = (at) => found[at + 1].end - found[at].start;
      if (length(place) < length(best)) best = place;
    }
    const [{ start }, { end }] = [found[best], found[best + 1]];
    found.splice(best, 2, { start, end, text: content.slice(start, end) });
  }
  return found;
}

/** A value as a word of its own, in any case. */
function wordOf(value) {
  const words = value.trim().split(/\s+/u).map((one) => one.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&"));
  return new RegExp(`(?<![\\p{L}\\p{N}])${words.join("\\s+")}(?![\\p{L}\\p{N}])`, "giu");
}

function cased(text, like) {
  const [first] = like;
  const [initial, ...rest] = text;
  return first === first.toLowerCase() ? text : initial.toUpperCase() + rest.join("");
}

function same(text) {
  return text.toLowerCase().replace(/[\s\p{P}]+/gu, " ").trim();
}
