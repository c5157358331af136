// Pieces of text in lines of a width. Measures with a function; draws nothing.

const STRONG = new RegExp("(?<rtl>[\\p{Script=Hebrew}\\p{Script=Arabic}\\p{Script=Syriac}\\p{Script=Thaana}"
  + "\\p{Script=Nko}])|\\p{L}", "u");
const ARABIC = /(?=\p{L})\p{Script=Arabic}/u;
const JOINER = "\u200d"; // the letters of a word that is cut in two keep the shape that they have in it
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * @typedef {{text: string, [key: string]: any}} Piece one thing to draw, such as a token
 * @typedef {{pieces: (Piece & {x: number, width: number})[], width: number, isRtl: boolean}} Line
 */

/** Whether a text begins with a letter that is written from the right. @param {string} text */
export function isRtl(text) {
  return Boolean(STRONG.exec(text)?.groups.rtl);
}

/**
 * Lines, broken at spaces where that is possible and behind every newline.
 * @param {Piece[]} pieces @param {number} width @param {(piece: Piece) => number} widthOf
 * @returns {Line[]}
 */
export function linesOf(pieces, width, widthOf) {
  const all = pieces.flatMap(cutAtNewlines);
  const isRight = isRtl(pieces.map(({ text }) => text).join(""));
  const lines = [];
  let line = [], at = 0;
  const end = () => {
    lines.push(placed(line, isRight, width));
    [line, at] = [[], 0];
  };
  for (const word of words(all, width, widthOf)) {
    const long = word.reduce((sum, one) => sum + one.width, 0);
    if (line.length > 0 && at + long > width && long <= width) end();
    for (const piece of word) {
      if (line.length > 0 && at + piece.width > width) end();
      const shown = line.length === 0 ? withoutSpace(piece, widthOf) : piece;
      if (shown.text !== "") line.push(shown);
      at += shown.text === "" ? 0 : shown.width;
    }
    if (word[word.length - 1].isLast) end();
  }
  if (line.length > 0) end();
  return lines;
}

/** A text as pieces that can be wrapped. @param {string} text @returns {Piece[]} */
export function piecesOf(text, more = {}) {
  return (text.match(/\s*\S+|\s+$/gu) ?? []).map((one) => ({ ...more, text: one }));
}

/** Runs of pieces between which a line may be broken. */
function words(pieces, width, widthOf) {
  const found = [];
  pieces.forEach((piece, place) => {
    const before = pieces[place - 1];
    const parts = fitting(joined(piece, before, pieces[place + 1]), width, widthOf);
    const isNew = place === 0 || /^\s/u.test(piece.text) || /\s$/u.test(before.text) || before.isLast
      || parts.length > 1;
    if (isNew) found.push(parts);
    else found[found.length - 1].push(...parts);
  });
  return found;
}

function cutAtNewlines(piece) {
  const parts = piece.text.split("\n");
  const last = parts.length - 1;
  return parts.map((text, place) => (place < last ? { ...piece, text: `${text}\u21b5`, isLast: true }
    : { ...piece, text })).filter(({ text }) => text !== "");
}

/** A piece, or as many as it takes where it is wider than a line. */
function fitting(piece, width, widthOf) {
  const whole = { ...piece, width: widthOf(piece) };
  if (whole.width <= width) return [whole];
  const parts = [];
  let text = "";
  for (const { segment } of segmenter.segment(piece.text)) {
    if (text !== "" && widthOf({ ...piece, text: text + segment }) > width) {
      parts.push(text);
      text = "";
    }
    text += segment;
  }
  return [...parts, text].map((part, place) => ({ ...piece, text: part,
    width: widthOf({ ...piece, text: part }), isLast: piece.isLast && place === parts.length }));
}

function withoutSpace(piece, widthOf) {
  const text = piece.text.trimStart();
  if (text === piece.text) return piece;
  return { ...piece, text, width: text === "" ? 0 : widthOf({ ...piece, text }) };
}

function joined(piece, before, after) {
  const first = before && ARABIC.test(before.text.slice(-1)) && ARABIC.test(piece.text[0]);
  const last = after && ARABIC.test(after.text[0]) && ARABIC.test(piece.text.slice(-1));
  if (!first && !last) return piece;
  return { ...piece, text: (first ? JOINER : "") + piece.text + (last ? JOINER : "") };
}

/** Places from the left: runs against the direction of the line have their order turned. */
function placed(pieces, isRight, width) {
  const total = pieces.reduce((sum, one) => sum + one.width, 0);
  const ordered = runs(pieces.map((one, place) => ({ ...one, place })), isRight)
    .flatMap(({ isAgainst, pieces: run }) => (isAgainst ? run.reverse() : run));
  let at = isRight ? width : 0;
  return { isRtl: isRight, width: total, pieces: ordered.map((piece) => {
    if (isRight) at -= piece.width;
    const x = at;
    if (!isRight) at += piece.width;
    return { ...piece, x };
  }) };
}

/** Runs of one direction. What has no letters goes with its run where both sides agree. */
function runs(pieces, isRight) {
  const ways = pieces.map(({ text }) => (STRONG.test(text) ? isRtl(text) : null));
  const after = (place) => ways.slice(place).find((way) => way !== null) ?? isRight;
  const found = [];
  pieces.forEach((piece, place) => {
    const last = found[found.length - 1];
    const before = last ? last.way : isRight;
    const way = ways[place] ?? (after(place) === before ? before : isRight);
    if (last?.way === way) last.pieces.push(piece);
    else found.push({ way, isAgainst: way !== isRight, pieces: [piece] });
  });
  return found;
}
