// SHA-256 in this page: crypto.subtle is missing where a page comes over plain http, as from a
// machine of a cluster, and a link made there has to be checked, too.

const SHORT = 12; // hex digits, as the reports show of a digest

/** The first 12 hex digits of the SHA-256 of a text as UTF-8. @param {string} text */
export function shortHash(text) {
  return sha256(new TextEncoder().encode(text)).slice(0, SHORT);
}

/** The beginning of a bundle's digest; null where it has none. @param {object} model of /v1/models */
export function shortDigest(model) {
  return model.interlingua.digest?.slice(0, SHORT) ?? null;
}

/** The SHA-256 of bytes in hex. @param {Uint8Array} bytes */
export function sha256(bytes) {
  const state = Int32Array.from(primes(8), (one) => fraction(Math.sqrt(one)));
  const steps = Int32Array.from(primes(64), (one) => fraction(Math.cbrt(one)));
  const view = new DataView(padded(bytes).buffer);
  for (let at = 0; at < view.byteLength; at += 64) mixed(state, schedule(view, at), steps);
  return Array.from(state, (one) => (one >>> 0).toString(16).padStart(8, "0")).join("");
}

/** A one bit, zeros, and the count of bits in the last eight bytes. */
function padded(bytes) {
  const found = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  found.set(bytes);
  found[bytes.length] = 0x80;
  const view = new DataView(found.buffer);
  view.setUint32(found.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(found.length - 4, (bytes.length * 8) >>> 0);
  return found;
}

function schedule(view, at) {
  const words = new Int32Array(64);
  for (let place = 0; place < 16; place += 1) words[place] = view.getInt32(at + 4 * place);
  for (let place = 16; place < 64; place += 1) {
    const [early, late] = [words[place - 15], words[place - 2]];
    words[place] = words[place - 16] + words[place - 7]
      + (turned(early, 7) ^ turned(early, 18) ^ (early >>> 3))
      + (turned(late, 17) ^ turned(late, 19) ^ (late >>> 10));
  }
  return words;
}

function mixed(state, words, steps) {
  let [a, b, c, d, e, f, g, h] = state;
  for (let place = 0; place < 64; place += 1) {
    const first = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g))
      + steps[place] + words[place]) | 0;
    const second = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((one, place) => (state[place] += one));
}

function turned(word, by) {
  return (word >>> by) | (word << (32 - by));
}

function fraction(value) {
  return Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;
}

function primes(count) {
  const found = [];
  for (let one = 2; found.length < count; one += 1) if (found.every((prime) => one % prime)) found.push(one);
  return found;
}
