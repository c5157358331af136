// Places in texts. The server counts code points; JavaScript counts UTF-16 units.

/** A text whose characters are counted as the server does. */
export class Text {
  /** @param {string} content */
  constructor(content) {
    this.content = content;
    this.points = Array.from(content);
    // Most texts have one unit a character: then no table is needed.
    this.units = this.points.length === content.length ? null : starts(this.points);
  }

  get length() {
    return this.points.length;
  }

  /** The UTF-16 unit at which a code point begins. @param {number} point */
  unit(point) {
    return this.units === null ? point : this.units[point];
  }

  /** Characters from one code point to another. */
  slice(start, end) {
    return this.content.slice(this.unit(start), this.unit(end));
  }

  /** The code point that holds a UTF-16 unit. @param {number} unit */
  point(unit) {
    return Array.from(this.content.slice(0, unit)).length;
  }
}

function starts(points) {
  const found = [0];
  for (const one of points) found.push(found[found.length - 1] + one.length);
  return found;
}

// The server's rule of what a sentence is: interlingua/core/spans.py.
const END = /[.!?]+["')\]]*(?=\s|$)/gu;

/**
 * The sentences of a text, without the space between them.
 * @param {string} content
 * @returns {{start: number, end: number, text: string}[]} in UTF-16 units
 */
export function sentences(content) {
  const found = [];
  let start = 0;
  for (const match of content.matchAll(END)) {
    push(found, content, start, match.index + match[0].length);
    start = match.index + match[0].length;
    while (start < content.length && /\s/u.test(content[start])) start += 1;
  }
  push(found, content, start, content.trimEnd().length);
  return found;
}

function push(found, content, start, end) {
  if (start < end) found.push({ start, end, text: content.slice(start, end) });
}

/** A text without one of its sentences, and without the space behind it. */
export function without(content, sentence) {
  const rest = content.slice(sentence.end);
  return (content.slice(0, sentence.start) + rest.trimStart()).trim();
}

/** The beginning of a text, cut at a word. @param {string} content @param {number} most */
export function excerpt(content, most = 90) {
  const flat = content.replace(/\s+/gu, " ").trim();
  if (flat.length <= most) return flat;
  return `${flat.slice(0, most).replace(/\s+\S*$/u, "")}\u2026`;
}
