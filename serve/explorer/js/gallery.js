// Gallery: recorded examples, which a rule chose. Each opens in Read, recorded or explained anew.

import { details, el, fill } from "./dom.js";
import { chip, passage } from "./find_rows.js";
import { count, plural } from "./format.js";
import { verdict } from "./ladder.js";
import { marked } from "./marks.js";
import { fetched } from "./recorded.js";
import { fragmentOf } from "./state.js";

const AROUND = 45; // characters beside what was read
const REASONS = { first: () => "one of the first by passage id", worst: (of) => `the worst of ${of}`,
  median: (of) => `the median of ${of}`, best: (of) => `the best of ${of}`,
  "first false claim": () => "the first with a false claim" };

/** The view. */
export class Gallery {
  /** @param {object} app */
  constructor(app) {
    this.app = app;
    this.element = el("div", { class: "gallery" }, el("p", { class: "loading" }, "Opening the gallery"));
  }

  /** Show all examples. */
  async show() {
    const recording = this.app.api.recording ?? await fetched();
    if (!recording) return fill(this.element, nothing());
    const here = served(this.app, recording);
    const hosts = [...new Set(recording.examples.map(({ host }) => host))];
    const sections = [];
    for (const host of hosts) {
      const own = recording.examples.filter((one) => one.host === host);
      sections.push(await section(own, recording, here));
    }
    fill(this.element, head(recording, here), ...sections);
  }

  /** Nothing goes on here. */
  hide() {}
}

/** What a link to an example says. @param {object} example @param {string} model */
export function shownOf(example, model) {
  const { text, host, site } = example;
  return { view: "read", text, messages: null, model, host, site, more: {} };
}

/** The recorded bundle and evaluation on this server, by what they are and not by their names. */
function served(app, { made }) {
  const { digest } = made.bundles[0];
  const model = app.models.find(({ interlingua }) => interlingua.digest === digest);
  const evaluation = app.evaluations.find(({ fingerprint }) => fingerprint === made.evaluation.fingerprint);
  const { isRecorded } = app.api;
  return { model: model?.id ?? null, evaluation: evaluation?.name ?? null, isRecorded, app };
}

function head({ made, examples }, { model, isRecorded }) {
  const bundles = made.bundles.map(({ name }) => name).join(", ");
  const opening = isRecorded ? "" : model ? " They open live: this server has the same bundle."
    : " They open as they were recorded: this server has other bundles.";
  const { name, split } = made.evaluation;
  const rows = Object.entries(made.num_rows).map(([host, number]) => `${host} ${count(number)}`).join(", ");
  return el("header", { class: "gallery-head" },
    el("h1", {}, "Gallery"),
    el("p", {}, `${plural(examples.length, "example")} of ${bundles}, recorded on ${made.date}.${opening}`),
    details("Chosen by rule: nobody picked them", {},
      el("p", { class: "faint" }, made.rule),
      el("p", { class: "faint" }, `Rows of evaluation ${name}, split ${split}, that they were chosen from: `
        + `${rows}. Scores on cards are as in Read: their denominator is that of the rows that the decoder `
        + "was fitted on.")));
}

async function section(examples, recording, here) {
  const [{ host, role }] = examples;
  const cards = [];
  for (const example of examples) cards.push(await card(example, recording, here));
  return el("section", { "aria-label": host }, el("h2", {}, host, el("span", { class: "faint" }, ` ${role}`)),
    el("ul", { class: "gallery-cards" }, ...cards));
}

async function card(example, { made }, { model, evaluation, isRecorded, app }) {
  const isLive = model !== null;
  const fragment = await fragmentOf(shownOf(example, model ?? example.model));
  const found = verdict(example.fve_centred_train, example.controls);
  const know = () => isLive && evaluation && app.know({ ...example, evaluation });
  return el("li", { class: "card example-card" },
    el("div", { class: "example-head" }, chip(example.fve_centred_train, example.explanation === null),
      el("span", { class: "faint" }, reason(example, made.num_rows[example.host]))),
    el("p", { class: "example-text", dir: "auto" }, ...(example.explanation === null
      ? ["No explanation: the AV did not close its tag."] : marked(example.explanation, example.clauses))),
    found && el("p", { class: found.isGood ? "verdict good" : "verdict weak" }, found.text),
    el("p", { class: "found-passage", dir: "auto" }, ...passage(example, AROUND)),
    el("a", { href: isLive || isRecorded ? fragment : `?gallery${fragment}`, class: "example-link",
      on: { click: know } }, "Open in Read"));
}

function reason({ reasons }, total) {
  return reasons.map((one) => REASONS[one]?.(count(total)) ?? one).join(" \u00b7 ");
}

function nothing() {
  return el("div", { class: "empty" }, el("p", {}, "No recorded examples lie beside this page."),
    el("p", { class: "faint" }, "python -m jobs.gallery BUNDLE --out serve/explorer/gallery/demo.json"));
}
