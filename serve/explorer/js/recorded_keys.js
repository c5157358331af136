// The names of recorded answers: method, path and a hash of the body, which is written in one way only.
// The rules are those of interlingua/serving/explorer/gallery_keys.py; a test holds them against each other.

import { encoded, rowsOf } from "./vectors.js";

// How an answer is written, not what it says; and the words of a vector, which its site has already.
const LEFT_OUT = new Set(["stream", "vector_form", "rebuilt", "passage"]);
const USUAL = { n: 1, temperature: 0, seed: 0 }; // what the server takes where nothing is said

/** The name of the answer to a request. @param {?object} body */
export function askedKey(method, path, body = null) {
  const [plain, query = ""] = path.split("?");
  const kept = query.split("&").filter((one) => one && !one.startsWith("limit=")).sort();
  const place = kept.length ? `${plain}?${kept.join("&")}` : plain;
  return body === null ? `${method} ${place}` : `${method} ${place} ${hash(canonical(asked(body)))}`;
}

/**
 * A request about several rows as requests about one each, so that nothing depends on how the page puts
 * sites together.
 * @param {object} body @returns {object[]}
 */
export function singles(path, body) {
  if (path.endsWith("/activations")) return [body]; // positions are read together
  if (body.activations) return ofVectors(body);
  for (const field of ["positions", "texts"]) {
    if (Array.isArray(body[field])) return body[field].map((one) => ({ ...body, [field]: [one] }));
  }
  return [body];
}

function ofVectors({ activations, explanations, ...body }) {
  return rowsOf(activations).map((row, place) => ({ ...body, activations: encoded([row]),
    ...(explanations ? { explanations: [explanations[place]] } : {}) }));
}

function asked(body) {
  return Object.fromEntries(Object.entries(body).filter(([name, value]) =>
    !LEFT_OUT.has(name) && value !== null && value !== undefined && USUAL[name] !== value));
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

/** FNV-1a of 64 bits: texts differ from each other, and nobody tries to make two alike. */
function hash(text) {
  let found = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    found = BigInt.asUintN(64, (found ^ BigInt(byte)) * 0x100000001b3n);
  }
  return `#${found.toString(16).padStart(16, "0")}`;
}
