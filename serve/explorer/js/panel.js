// What is known of one site: its explanation, its score and what that is worth, samples beside it.

import { announce, button, details, el, fill, refill, select } from "./dom.js";
import { doubt } from "./doubt.js";
import { count, score } from "./format.js";
import { keep, pinned, UNPINNED } from "./keep.js";
import { controlTable, ladder, verdict } from "./ladder.js";
import { marked } from "./marks.js";
import { problemOf } from "./problem.js";
import { keyOf, siteName, siteTokens } from "./sites.js";
import { agreement, rowsOf } from "./vectors.js";

const DRAWS = [["1", "greedy"], ["4", "4 samples"], ["8", "8 samples"], ["16", "16 samples"]];

const MEANINGS = {
  fve: "1 \u2212 NMSE / denominator, of this one row: 0 is what the mean vector scores on average, 1 is perfect",
  nmse: "2 (1 \u2212 cosine) between the activation and what the AR rebuilds of the text",
  denominator: "The NMSE of the mean of the rows that the decoder was fitted on",
  nearer: "How many other passages have an activation that is further from what the AR rebuilds; half is chance",
};

/** How texts are drawn, of the number that people choose. @param {number} n */
export function drawn(n) {
  return n > 1 ? { n, temperature: 1, seed: 0 } : {};
}

/** The panel of one site of one session. */
export class Panel {
  /** @param {object} app @param {import("./session.js").Session} session */
  constructor(app, session, site) {
    Object.assign(this, { app, session, site, controls: null, problem: null, uncompared: null });
    const { n, sample } = app.more; // of a link, which says anything
    this.count = DRAWS.some(([known]) => known === n) ? Number(n) : 1;
    this.sample = Math.max(0, Math.min(Math.trunc(Number(sample)) || 0, this.count - 1));
    this.head = el("header", { class: "panel-head" });
    this.body = el("div", { class: "panel-body" });
    this.worth = el("div", { class: "worth" });
    this.below = el("div", { class: "panel-below" });
    this.element = el("article", { class: "panel", "aria-label": "Explanation" },
      this.head, this.body, this.worth, this.below);
    this.draw();
  }

  get options() {
    return drawn(this.count);
  }

  get found() {
    return this.session.at(this.site, this.options);
  }

  /** Draw what is new. */
  draw() {
    const { found } = this;
    this.#drawHead(found);
    this.#drawBody(found);
    if (found?.status === "done" && this.drawnBelow !== this.#name()) {
      this.drawnBelow = this.#name();
      this.#drawBelow(found);
    }
  }

  /** Explain the site, then what the score is worth. */
  async explain() {
    this.problem = null;
    try {
      await this.session.explain([this.site], this.options);
      this.draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.problem = error;
      this.draw();
      return;
    }
    if (this.#shown()?.done) announce(`Explained: ${this.#shown().explanation ?? "no explanation"}`);
    await this.#compared();
  }

  #name() {
    return `${keyOf(this.site)}|${this.count}|${this.sample}`;
  }

  #shown() {
    return this.found?.samples[this.sample];
  }

  #drawHead() {
    if (this.drawnHead === this.count) return; // an open list of choices would be closed
    this.drawnHead = this.count;
    const { session, site } = this;
    fill(this.head,
      el("h2", {}, siteName(site, session)),
      el("p", { class: "faint" }, this.#whereabouts()),
      select("Texts", DRAWS, String(this.count), (value) => this.#drawAgain(Number(value))));
  }

  #whereabouts() {
    const { session, site } = this;
    const { tag, block_index, num_blocks } = session.host;
    const block = `block ${block_index}${num_blocks ? ` of ${num_blocks}` : ""}`;
    return [siteTokens(site, session), tag, block].filter(Boolean).join(" \u00b7 ");
  }

  #drawAgain(count) {
    Object.assign(this, { count, sample: 0, drawnBelow: null });
    this.app.keep({ ...UNPINNED, n: count > 1 ? String(count) : null });
    fill(this.worth);
    fill(this.below);
    this.explain();
  }

  #drawBody(found) {
    // What others asked for, as all tokens at once, may fail while this waits for it.
    const problem = this.problem ?? (found?.status === "failed" ? found.error : null);
    if (problem) return fill(this.body, problemOf(problem, () => this.explain()));
    if (!found) {
      return fill(this.body, button("Explain", () => this.explain(), { class: "primary" }));
    }
    const sample = found.samples[this.sample];
    if (!sample) return fill(this.body, el("p", { class: "explanation pending" }, "Waiting for the AV"));
    return refill(this.body,
      ...pinned(this.#context(found), this.#text(sample, found)),
      sample.is_unlike ? unlike() : null,
      this.count > 1 ? this.#samples(found) : null);
  }

  #text(sample, found) {
    if (!sample.done) return el("p", { class: "explanation pending" }, sample.text || "\u2026");
    if (sample.explanation === null) {
      return el("p", { class: "explanation none" }, "No explanation: the AV did not close its tag. ",
        el("span", { class: "faint" }, sample.raw_text));
    }
    return el("p", { class: "explanation", dir: "auto", data: { status: found.status } },
      ...marked(sample.explanation, this.app.clausesOf(this.session, sample.explanation, this.site)));
  }

  #samples(found) {
    const done = found.samples.filter((one) => one?.done);
    const rebuilt = done.filter((one) => one.rebuilt && one.explanation !== null).map((one) => rowsOf(one.rebuilt)[0]);
    const agree = agreement(rebuilt);
    return el("div", { class: "samples" },
      el("p", { class: "faint" }, `${done.length} of ${this.count} drawn at temperature 1. `,
        agree === null ? null : el("span", { title: "Mean cosine between what the AR makes of each two of them. "
          + "Samples that contradict each other cannot all be true." }, `Agreement ${score(agree)}.`)),
      el("ol", {}, ...found.samples.map((one, place) => el("li", {},
        el("button", { type: "button", class: "sample", "aria-pressed": String(place === this.sample),
          on: { click: () => this.#choose(place) } },
          el("span", { class: "number" }, score(one?.fve_centred_train)),
          el("span", { class: "sample-text" }, one?.explanation ?? one?.text ?? "\u2026"))))));
  }

  #choose(place) {
    this.sample = place;
    this.drawnBelow = null;
    this.draw();
    this.#drawWorth();
    this.session.changed();
  }

  #context(found) {
    return { app: this.app, session: this.session, site: this.site, found,
      sample: found.samples[this.sample], options: this.options, controls: () => this.controls ?? [] };
  }

  #drawBelow(found) {
    this.#drawWorth();
    const context = this.#context(found);
    fill(this.below, context.sample.explanation === null ? null : doubt(context), keep(context));
  }

  /** What simpler systems score; without it there is still an explanation. */
  async #compared() {
    this.uncompared = null;
    try {
      this.controls ??= await this.session.controlsOf(this.site);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.uncompared = error;
    }
    this.session.changed(); // what doubts the explanation may want them
    this.#drawWorth();
  }

  #drawWorth() {
    const sample = this.#shown();
    if (!sample?.done) return fill(this.worth);
    const fve = sample.fve_centred_train;
    const found = this.controls ? verdict(fve, this.controls) : null;
    return fill(this.worth,
      el("dl", { class: "scores" },
        ...pair("FVE", score(fve), MEANINGS.fve),
        ...pair("NMSE", score(sample.nmse), MEANINGS.nmse),
        ...pair("denominator", score(sample.denominator), MEANINGS.denominator),
        ...pair("nearer than", nearer(sample), MEANINGS.nearer)),
      this.uncompared && problemOf(this.uncompared, () => this.#compared()),
      found && el("p", { class: found.isGood ? "verdict good" : "verdict weak" }, found.text),
      this.controls && ladder(fve, this.controls),
      this.controls && details("The systems beside it", { class: "beside" }, controlTable(this.controls)));
  }
}

function nearer({ null_percentile: share, null_n: others }) {
  return share === null ? "\u2013" : `${count(Math.round(share * others))} of ${count(others)}`;
}

function pair(name, value, meaning) {
  return [el("div", { class: "pair", title: meaning }, el("dt", {}, name), el("dd", {}, value))];
}

function unlike() {
  return el("p", { class: "notice warn" }, "Unlike what this AV learned from: the activation is further "
    + "out than 99% of those. The text is fluent all the same; do not rely on it.");
}
