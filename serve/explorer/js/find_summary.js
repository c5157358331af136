// What the rows that fit are together, and their files.

import { button, details, el } from "./dom.js";
import { allRows, csvOf, jsonOf, MOST_ROWS, save } from "./find_files.js";
import { asked, PAGE } from "./find_filters.js";
import { count, percent, plural, score } from "./format.js";

const FVE = "1 \u2212 NMSE / V, V the mean own variance of all rows of the host and predictor: "
  + "over all of these it is fve_centred_own";

/** Numbers of all rows that fit. @param {object} answer of the API @param {object} evaluation */
export function counts({ summary, total }, evaluation) {
  const figure = (value, name, title = null) =>
    el("span", { class: "figure", title }, el("b", {}, value), ` ${name}`);
  const { num_passages, mean_fve_centred_own, failed_share, false_share } = summary;
  return el("p", { class: "figures" },
    figure(count(total), total === 1 ? "row" : "rows", `of ${count(evaluation.num_rows)} in this evaluation`),
    figure(count(num_passages), num_passages === 1 ? "passage" : "passages"),
    figure(score(mean_fve_centred_own), "mean FVE, centred, own variance", FVE),
    figure(percent(failed_share), "failed", "texts whose tag was not closed"),
    false_share === null ? null
      : figure(percent(false_share), "of claims false", "of the facts that are named"));
}

/** Rows as files. @param {import("./api.js").Api} api @param {() => AbortSignal} signalOf ends a long one */
export function downloads(api, filters, answer, signalOf) {
  const { evaluation } = filters;
  const named = (kind) => `${evaluation.name}-rows.${kind}`;
  const saved = {
    CSV: (rows) => save(named("csv"), csvOf(rows), "text/csv"),
    JSON: (rows) => save(named("json"), jsonOf(rows, asked(filters)), "application/json"),
  };
  const many = Math.min(answer.total, MOST_ROWS);
  const press = (kind, act) => button(kind, (event) => act(kind, event.currentTarget), { class: "small" });
  const line = (name, act) => el("div", { class: "row" }, el("span", { class: "faint" }, name),
    ...Object.keys(saved).map((kind) => press(kind, act)));
  const all = many < answer.total ? `The first ${count(many)} of all that fit`
    : `All that fit, ${plural(many, "row")}`;
  return details("Download", { class: "find-files" },
    line(`This page, ${plural(answer.rows.length, "row")}`, (kind) => saved[kind](answer.rows)),
    line(all, (kind, pressed) => whole(api, filters, signalOf(), pressed, saved[kind])));
}

async function whole(api, filters, signal, pressed, save) {
  const name = pressed.textContent;
  pressed.disabled = true;
  try {
    save(await allRows(api, filters, (done, total) => {
      pressed.textContent = `${count(done)} of ${count(total)}`;
    }, signal));
    pressed.textContent = name;
  } catch (error) {
    if (!signal.aborted) pressed.textContent = `${name} failed: ${error.message}`;
  }
  pressed.disabled = false;
}

/** Which page it is. @param {(page: number) => void} turn */
export function pages(page, total, turn) {
  const last = Math.ceil(total / PAGE) - 1;
  const to = (name, other) => button(name, () => turn(other), { disabled: other < 0 || other > last });
  return el("nav", { class: "find-pages", "aria-label": "Pages" }, to("Previous", page - 1),
    el("span", { class: "number" }, `Page ${count(page + 1)} of ${count(last + 1)}`), to("Next", page + 1));
}
