// What scores of changed texts mean, in sentences. Knows no element of the page.

import { change, plural, score } from "./format.js";

export const LEAST = 0.005; // a change that is smaller is none: two decimals are shown

/** What a part does, by the change without it. @param {?number} without @returns {?string} */
export function roleOf(without) {
  if (without === null) return null;
  return Math.abs(without) < LEAST ? "nothing" : without < 0 ? "carries" : "misleads";
}

/**
 * Which part the score is in.
 * @param {?number} whole
 * @param {(?number)[]} changes of the score without each part
 */
export function carried(whole, changes) {
  if (whole === null) return "There is no FVE here: the rows that the decoder was fitted on do not vary.";
  if (changes.length < 2) return "It is one part: without it there would be nothing to score.";
  const [best, worst] = [Math.min(...changes), Math.max(...changes)];
  const name = (value) => `part ${changes.indexOf(value) + 1}`;
  const better = worst < LEAST ? "" : ` Without ${name(worst)} it would be higher (${change(worst)}).`;
  if (best > -LEAST) {
    const reason = better ? "leaving out any one of them does not lower it"
      : "without any one of them it changes by less than .005";
    return `No part carries the score alone: ${reason}.${better}`;
  }
  const left = `without it the score is ${score(whole + best)} rather than ${score(whole)} (${change(best)})`;
  const begin = whole < LEAST ? "The mean vector scores as much or more. The most helpful is"
    : -best > whole / 2 ? "Most of the score is in" : "The largest share is that of";
  return `${begin} ${name(best)}: ${left}.${better}`;
}

/** The score as the text grows, as who does not see the curve reads it. @param {(?number)[]} beginnings */
export function grown(beginnings) {
  const steps = beginnings.map((value, place) => `${plural(place + 1, "part")} ${score(value)}`);
  return `FVE of the beginnings of the text: ${steps.join(", ")}. 0 is what the mean vector scores.`;
}

/** An old score and a new one. @param {?number} old @param {?number} now */
export function changed(old, now) {
  if (old === null || now === null) return "There is no FVE to compare.";
  const role = Math.abs(now - old) < LEAST ? "no change" : now < old ? "lower" : "higher";
  return `FVE ${score(old)} \u2192 ${score(now)}, ${change(now - old)}: ${role}`;
}

/**
 * What swapping a claim shows. A score that reads it falls when it is made false.
 * @param {number[]} changes of each swap
 * @param {boolean} isFalse whether what was swapped in is known to be false here
 * @param {?number} without the change when the part is left out
 * @returns {{isRead: boolean, text: string}}
 */
export function swapped(changes, isFalse, without) {
  const count = changes.length;
  const mean = changes.reduce((sum, one) => sum + one, 0) / count;
  const lower = changes.filter((one) => one <= -LEAST).length;
  const what = isFalse ? "A false claim" : "A part of another explanation";
  const does = Math.abs(mean) < LEAST ? "does not change the score on average"
    : `${mean < 0 ? "lowers" : "raises"} the score by ${score(Math.abs(mean))} on average`;
  const range = count > 1 ? `, ${change(Math.min(...changes))} to ${change(Math.max(...changes))}` : "";
  const isRead = mean <= -LEAST && lower > count / 2;
  const beside = without === null ? "" : ` Leaving the part out: ${change(without)}.`;
  const share = `${lower} of ${count} ${lower === 1 ? "lowers" : "lower"} it`;
  return { isRead, text: `${what} ${does} (${share}${range}). ${meaning(isRead, isFalse, lower)}${beside}` };
}

function meaning(isRead, isFalse, lower) {
  if (isFalse) {
    if (isRead) return "The score reads this claim.";
    return lower === 0 ? "The score does not read this claim."
      : "The score does not tell it from most false ones.";
  }
  if (isRead) return "The score tells this part from theirs.";
  return lower === 0 ? "The score does not tell this part from theirs."
    : "The score does not tell this part from most of theirs.";
}
