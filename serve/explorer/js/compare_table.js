// A comparison over all sites that are explained on both sides, and the sites by their difference.

import { details, el } from "./dom.js";
import { change, count, plural, score } from "./format.js";
import { LEAST, NUM_RESAMPLES, summary } from "./compare_stats.js";
import { siteName } from "./sites.js";

const MOST_LISTED = 50;
const NOUNS = { sentence: "sentence", token: "token", whole: "whole text" };

/**
 * Scores of the pairs that are explained on both sides, greedy.
 * @param {import("./session.js").Session[]} sessions @param {[object, object][]} pairs
 * @returns {{sites: [object, object], scores: [number, number], isNone: [boolean, boolean]}[]}
 */
export function explainedPairs(sessions, pairs) {
  return pairs.map((sites) => {
    const samples = sites.map((site, side) => sessions[side].at(site)?.samples[0]);
    const isThere = samples.every((one) => one?.done && one.fve_centred_train !== null);
    return isThere && { sites, scores: samples.map((one) => one.fve_centred_train),
      isNone: samples.map((one) => one.explanation === null) };
  }).filter(Boolean);
}

/**
 * @param {{unit: string, found: ReturnType<typeof explainedPairs>}[]} groups of one unit each
 * @param {import("./session.js").Session[]} sessions
 * @param {{pick: (sites: [object, object]) => void, isWhole: boolean}} on isWhole: with the list of sites
 */
export function sitesTable(groups, sessions, { pick, isWhole }) {
  const known = groups.filter(({ found }) => found.length > 0);
  if (known.length === 0) return el("p", { class: "faint" }, "Nothing is explained on both sides yet.");
  return el("div", { class: "sites" },
    el("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Over all sites" },
      el("table", { class: "sites-table" }, head(), el("tbody", {}, ...known.map(rowOf)))),
    el("p", { class: "faint" }, "Greedy explanations. Interval: 95%, "
      + `${count(NUM_RESAMPLES)} bootstrap resamples of sites, from `
      + `${LEAST} sites on. Sites of one text are not independent; an evaluation has the numbers that count. `
      + "Better: by .005 or more."),
    hostsOf(sessions), ...known.map(noneOf),
    ...(isWhole ? known.map((group) => listed(group, sessions, pick)) : []));
}

function hostsOf([one, other]) {
  if (one.host.tag === other.host.tag) return null;
  const [first, second] = [one, other].map(({ host }) => `${host.tag} ${score(host.denominator)}`);
  return el("p", { class: "faint" }, "Two hosts: FVE is over each host's own denominator "
    + `(${first}, ${second}), so that a difference is one of shares recovered, not of errors.`);
}

function head() {
  const names = ["Sites", "n", "FVE of A", "FVE of B", "B \u2212 A", "95% interval", "B better", "A better",
    "alike"];
  return el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name))));
}

function rowOf({ unit, found }) {
  const { n, one, other, mean, low, high, wins, losses, ties } = summary(found.map(({ scores }) => scores));
  const interval = low === null ? "\u2013" : `${change(low)} to ${change(high)}`;
  return el("tr", {}, el("th", { scope: "row" }, plural(n, NOUNS[unit]).replace(/^\S+ /u, "")),
    ...[count(n), score(one), score(other), change(mean), interval, count(wins), count(losses), count(ties)]
      .map((text, place) => el("td", { class: place === 3 ? "number strong" : "number" }, text)));
}

/** Texts that are not there count, with the NMSE 2; how many these are. */
function noneOf({ unit, found }) {
  const [one, other] = [0, 1].map((side) => found.filter(({ isNone }) => isNone[side]).length);
  if (one + other === 0) return null;
  return el("p", { class: "faint" }, `Without an explanation, at ${plural(found.length, NOUNS[unit])}: `
    + `A ${one}, B ${other}. They count with the NMSE 2.`);
}

function listed({ unit, found }, sessions, pick) {
  const size = ({ scores: [one, other] }) => Math.abs(other - one);
  const sorted = [...found].sort((one, other) => size(other) - size(one)).slice(0, MOST_LISTED);
  const title = found.length > MOST_LISTED ? `The ${MOST_LISTED} ${NOUNS[unit]}s that differ most`
    : `${NOUNS[unit][0].toUpperCase()}${NOUNS[unit].slice(1)}s by difference`;
  const rows = sorted.map(({ sites, scores }) => el("li", {}, row(sites, scores, sessions, pick)));
  return details(title, { class: "site-list", data: { unit } }, el("ol", {}, ...rows));
}

function row(sites, [one, other], sessions, pick) {
  return el("button", { type: "button", class: "site-row", on: { click: () => pick(sites) } },
    el("span", { class: "number strong" }, change(other - one)),
    el("span", { class: "number faint" }, `A ${score(one)}`),
    el("span", { class: "number faint" }, `B ${score(other)}`),
    el("span", { class: "site-name" }, siteName(sites[0], sessions[0])));
}
