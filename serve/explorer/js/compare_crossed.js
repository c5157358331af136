// Whose text stands for whose activation: what one side says, scored against the activation of the other.

import { el } from "./dom.js";
import { score } from "./format.js";
import { stepOf } from "./scale.js";
import { encoded } from "./vectors.js";

/**
 * @typedef {{session: import("./session.js").Session, site: import("./sites.js").Site, sample: object}} End
 *   one side of a pair: what is explained there, and what of it is shown
 */

/**
 * Scores of each text for each activation: rows are texts, columns activations.
 * @param {End[]} ends @returns {Promise<(?number)[][]>} FVE; null where there is no text
 */
export async function crossed(ends, signal) {
  const away = await Promise.all(ends.map((end, place) => scored(end, ends[1 - place], signal)));
  const [one, other] = ends.map(({ sample }) =>
    (sample.explanation === null ? null : sample.fve_centred_train));
  return [[one, away[0]], [away[1], other]];
}

async function scored({ sample }, { session, site }, signal) {
  if (sample.explanation === null) return null;
  const activations = encoded([await session.vectorOf(site)]);
  const body = { ...session.asked(), explanations: [sample.explanation], activations };
  const { data } = await session.api.post("/v1/score", body, { signal });
  return data[0].fve_centred_train;
}

/** The table of four. @param {(?number)[][]} cells @param {boolean} isOneHost */
export function crossedTable(cells, isOneHost) {
  const names = ["A", "B"];
  return el("div", { class: "crossed" },
    el("h3", {}, "Rebuilt in the other"),
    el("table", {},
      el("caption", { class: "visually-hidden" }, "FVE of each side's text for each side's activation"),
      el("thead", {}, el("tr", {}, el("td", {}), ...names.map((name) => el("th", { scope: "col" },
        `${isOneHost ? "AR" : "activation"} of ${name}`)))),
      el("tbody", {}, ...cells.map((row, place) => el("tr", {},
        el("th", { scope: "row" }, `text of ${names[place]}`), ...row.map(cell))))),
    el("p", { class: "faint" }, reading(cells, isOneHost)));
}

function cell(fve) {
  const step = stepOf(fve);
  return el("td", { class: step === null ? "number" : `number q${step}` }, score(fve));
}

/** How the table is read, for what stands in it. */
function reading(cells, isOneHost) {
  const what = isOneHost
    ? "One activation, two ARs: what scores with its own AR alone, the other cannot read."
    : "A column has its own activation, AR and denominator: compare within a column.";
  const [[home, away], [back, own]] = cells;
  if ([home, away, back, own].some((one) => one === null)) return what;
  return `${what} In B the text of A scores ${score(away)}, its own ${score(own)}; in A the text of B `
    + `scores ${score(back)}, its own ${score(home)}.`;
}
