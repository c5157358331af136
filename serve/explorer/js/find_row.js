// One stored row as a whole: what was written, what it is worth, and what others made of the same.

import { ApiError } from "./api.js";
import { button, el, fill } from "./dom.js";
import { chip, passage, whereabouts, written } from "./find_rows.js";
import { plural, score } from "./format.js";
import { marked } from "./marks.js";
import { problemOf } from "./problem.js";

const MEANINGS = {
  fve: "1 \u2212 NMSE / V, V the mean own variance of all rows of this host and predictor",
  nmse: "2 (1 \u2212 cosine) between what was rebuilt and the activation",
  cosine: "Between what was rebuilt and the activation",
  rank: "Of the row's own activation among those of all rows, by what was rebuilt; 1 is best",
};

/** The card of one row. */
export class FoundRow {
  /**
   * @param {object} app @param {object} evaluation @param {number} number of the row
   * @param {{close: () => void, passage: (id: string) => void}} on
   */
  constructor(app, evaluation, number, on) {
    Object.assign(this, { app, evaluation, number, on, clauses: new Map() });
    this.stopper = new AbortController();
    this.element = el("article", { class: "panel found-whole", "aria-label": "A row as a whole" },
      el("p", { class: "loading" }, "Opening the row"));
  }

  /** Ask for it, and for which of its statements are true. */
  async show() {
    const { signal } = this.stopper;
    const path = `/v1/evaluations/${encodeURIComponent(this.evaluation.name)}`;
    try {
      this.row = await this.app.api.get(`${path}/rows/${this.number}`, { signal });
      this.#draw();
      if (this.evaluation.has_facts) await this.#marked(path, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!this.row) fill(this.element, problemOf(error, () => this.show()));
      else if (!(error instanceof ApiError)) throw error; // without marks a row is as good
    }
  }

  /** Forget what was asked for. */
  stop() {
    this.stopper.abort();
  }

  async #marked(path, signal) {
    const written = [this.row, ...this.row.beside].map(({ explanation }) => explanation);
    const texts = [...new Set(written)].filter(Boolean);
    if (texts.length === 0) return;
    // Of a row that is a sentence it is asked what holds of the sentence.
    const { passage_id, position } = this.row;
    const answer = await this.app.api.post(`${path}/claims`,
      { passage_id, texts, ...(position === null ? {} : { position }) }, { signal });
    answer.data.forEach((one, place) => this.clauses.set(texts[place], one.clauses));
    this.#draw();
  }

  #draw() {
    const { row } = this;
    fill(this.element,
      el("header", { class: "found-head" }, chip(row.fve_centred_own, row.is_failed),
        el("h2", {}, this.#title(row.predictor)),
        el("p", { class: "faint" }, this.#whose()),
        button("\u00d7", () => this.on.close(), { class: "quiet icon", "aria-label": "Close the row" })),
      el("p", { class: row.explanation === null ? "explanation none" : "explanation", dir: "auto" },
        ...this.#text(row)),
      this.#scores(), this.#actions(), this.#passage(), this.#beside());
  }

  #title(predictor) {
    return this.evaluation.predictors.find(({ name }) => name === predictor)?.title ?? predictor;
  }

  #whose() {
    const { host, role, sample } = this.row;
    return [`${host}, ${role}`, sample > 0 ? `sample ${sample + 1}` : null, `row ${this.number}`]
      .filter(Boolean).join(" \u00b7 ");
  }

  #text(row) {
    if (row.explanation === null) return [written(row)];
    return marked(row.explanation, this.clauses.get(row.explanation) ?? null);
  }

  #scores() {
    const { row } = this;
    const rank = row.rank === null ? null : `${row.rank} of ${row.num_rivals}`;
    return el("dl", { class: "scores" }, ...[
      ["FVE", score(row.fve_centred_own), MEANINGS.fve], ["NMSE", score(row.nmse), MEANINGS.nmse],
      ["cosine", score(row.cosine), MEANINGS.cosine], ["rank", rank, MEANINGS.rank],
      ["tokens", row.num_tokens, "of the text"],
    ].filter(([, value]) => value !== null).map(([name, value, meaning]) =>
      el("div", { class: "pair", title: meaning }, el("dt", {}, name), el("dd", {}, value))));
  }

  #actions() {
    const { bundle } = this.evaluation;
    const model = this.app.models.find(({ id }) => id === bundle);
    const isHere = model?.interlingua.hosts.some((one) => one.tag === this.row.host && one.is_here);
    return el("div", { class: "row" },
      isHere ? button("Open in Read", () => opened(this.app, bundle, this.row, this.evaluation.name),
        { class: "primary" }) : null,
      button("All rows of this passage", () => this.on.passage(this.row.passage_id)),
      isHere ? null : el("span", { class: "faint" },
        model ? `${this.row.host} reads no texts here.` : "Its bundle is not served here."));
  }

  #passage() {
    const { row } = this;
    return el("section", { class: "found-source" },
      el("h3", {}, "Passage"),
      el("p", { class: "faint" },
        `Read: ${whereabouts(row)}. Passage ${row.passage_id}, document ${row.document_id}.`),
      el("p", { class: "found-whole-text", dir: "auto" }, ...passage(row)),
      row.facts.length ? el("p", { class: "facts" }, el("span", { class: "faint" }, "What holds of it: "),
        ...row.facts.map((fact) => el("span", { class: "claim" }, fact))) : null);
  }

  /** Who made what of the same activation, the best first; this row is one of them. */
  #beside() {
    const rows = [this.row, ...this.row.beside]
      .sort((one, other) => (other.fve_centred_own ?? -Infinity) - (one.fve_centred_own ?? -Infinity));
    const place = rows.indexOf(this.row) + 1;
    return el("section", { class: "found-beside" },
      el("h3", {}, "The same activation by others"),
      el("p", { class: "faint" }, `Place ${place} of ${plural(rows.length, "predictor")}, by FVE.`),
      el("table", {}, el("thead", {}, el("tr", {},
        ...["FVE", "by", "text"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.map((row) => this.#line(row)))));
  }

  #line(row) {
    const isOwn = row === this.row;
    return el("tr", isOwn ? { class: "own", "aria-current": "true" } : {},
      el("td", {}, chip(row.fve_centred_own, row.is_failed)),
      el("th", { scope: "row" }, this.#title(row.predictor)),
      el("td", { dir: "auto", class: row.explanation === null ? "faint" : null }, ...this.#text(row)));
  }
}

/** Turn to Read: the same text, host and site, explained now. */
export function opened(app, model, row, evaluation) {
  app.know({ ...row, evaluation });
  const isToken = row.position !== null && row.span_end === null;
  const more = row.span_end === null ? {} : { span: `${row.position}-${row.span_end}` };
  return app.turn({ view: "read", text: row.text, messages: null, model, host: row.host,
    site: isToken ? String(row.position) : row.position === null ? "whole" : null, more });
}
