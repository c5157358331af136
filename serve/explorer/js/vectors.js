// Vectors as the API sends and takes them: base64 of little-endian fp32, row after row.

/** Rows of an answer. @param {{base64: string, shape: number[]}} given @returns {Float32Array[]} */
export function rowsOf(given) {
  const bytes = Uint8Array.from(atob(given.base64), (one) => one.charCodeAt(0));
  const all = new Float32Array(bytes.buffer);
  const width = given.shape[given.shape.length - 1];
  return Array.from({ length: all.length / width }, (_, row) =>
    all.slice(row * width, (row + 1) * width));
}

/** Rows for a request. @param {ArrayLike<number>[]} rows */
export function encoded(rows) {
  const width = rows[0].length;
  const all = new Float32Array(rows.length * width);
  rows.forEach((row, place) => all.set(row, place * width));
  const bytes = new Uint8Array(all.buffer);
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return { base64: btoa(binary), shape: [rows.length, width] };
}

/** The mean of rows, added up in double precision. @param {Float32Array[]} rows */
export function mean(rows) {
  const sum = new Float64Array(rows[0].length);
  for (const row of rows) row.forEach((value, place) => (sum[place] += value));
  return Float32Array.from(sum, (value) => value / rows.length);
}

/** One row less another. */
export function difference(one, other) {
  return Float32Array.from(one, (value, place) => value - other[place]);
}

/** The cosine of two rows, null where one is zero. */
export function cosine(one, other) {
  let dot = 0, first = 0, second = 0;
  for (let place = 0; place < one.length; place += 1) {
    dot += one[place] * other[place];
    first += one[place] ** 2;
    second += other[place] ** 2;
  }
  return first > 0 && second > 0 ? dot / Math.sqrt(first * second) : null;
}

/** The mean cosine of all pairs, null where there is none. @param {Float32Array[]} rows */
export function agreement(rows) {
  let sum = 0, pairs = 0;
  rows.forEach((row, place) => {
    for (const other of rows.slice(place + 1)) {
      const found = cosine(row, other);
      if (found !== null) [sum, pairs] = [sum + found, pairs + 1];
    }
  });
  return pairs === 0 ? null : sum / pairs;
}

/**
 * A vector that somebody pasted: numbers in any of the usual ways, or what this page copies.
 * @param {string} text @returns {{vector: ?Float32Array, problem: ?string}}
 */
export function pasted(text) {
  const trimmed = text.trim();
  if (trimmed === "") return { vector: null, problem: "Paste numbers: a list, or one a line." };
  if (trimmed.startsWith("{")) return ofObject(trimmed);
  const words = trimmed.replace(/^[[(]+|[\])]+$/gu, "").split(/[\s,;]+/u).filter(Boolean);
  const numbers = words.map(Number);
  const wrong = numbers.findIndex((one) => !Number.isFinite(one));
  if (wrong >= 0) return { vector: null, problem: `"${words[wrong].slice(0, 20)}" is no number.` };
  return { vector: Float32Array.from(numbers), problem: null };
}

function ofObject(text) {
  try {
    const rows = rowsOf(JSON.parse(text));
    if (rows.length === 1) return { vector: rows[0], problem: null };
    return { vector: null, problem: `That is ${rows.length} vectors; paste one.` };
  } catch {
    return { vector: null, problem: "That is neither numbers nor {base64, shape}." };
  }
}
