// Numbers and names as people read them.

/** A score: two decimals, no leading zero; a dash where there is none. @param {?number} value */
export function score(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  const text = Math.abs(value).toFixed(2).replace(/^0\./, ".");
  return (value < 0 && Number(value.toFixed(2)) !== 0 ? "\u2212" : "") + text;
}

/** A change: always with its sign. @param {?number} value */
export function change(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  return (Number(value.toFixed(2)) >= 0 ? "+" : "") + score(value);
}

/** A share in per cent. @param {?number} share */
export function percent(share) {
  return share === null || share === undefined ? "\u2013" : `${Math.round(100 * share)}%`;
}

/** A count with thin groups. @param {number} count */
export function count(count) {
  return count.toLocaleString("en-US");
}

/** One or several. @param {number} number @param {string} noun */
export function plural(number, noun, several = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : several}`;
}

/** A duration. @param {number} seconds */
export function duration(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

const STAGES = { sft: "supervised", rl: "reinforced" };
const READS = {
  pooled: "means over whole texts",
  sentence: "means over sentences",
  last_token: "last tokens",
  token: "single tokens",
};

/** How a bundle was trained. @param {string} stage */
export const trained = (stage) => STAGES[stage] ?? stage;

/** What an AV learned to explain. @param {string} reads */
export const learned = (reads) => READS[reads] ?? reads;

/** A token as a name: spaces and newlines are shown. @param {string} text */
export function tokenName(text) {
  const shown = text.replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5").replace(/ /g, "\u00b7");
  return shown === "" ? "(empty)" : shown;
}
