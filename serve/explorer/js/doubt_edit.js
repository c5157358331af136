// The explanation as a text to change: scored again when typing rests.

import { announce, button, el, fill } from "./dom.js";
import { diffed, scale } from "./doubt_draw.js";
import { Rest, Scores, trouble, whileShown } from "./doubt_scores.js";
import { changed } from "./doubt_words.js";
import { marked } from "./marks.js";

/** The editor. */
export class Edit {
  /** @param {object} about what is doubted */
  constructor(about) {
    Object.assign(this, { about, rest: new Rest(), now: null });
    this.scores = new Scores(about.session, about.site);
    this.text = el("textarea", { dir: "auto", rows: 3, spellcheck: "false",
      "aria-label": "Edited explanation", on: { input: () => this.#typed() } });
    this.text.value = about.content;
    this.reset = button("Reset", () => this.show(about.content), { class: "small" });
    this.result = el("div", { class: "doubt-result" });
    this.scale = el("div", {});
    this.changes = el("div", { class: "doubt-changes" });
    this.element = el("div", { class: "doubt-body" },
      el("p", { class: "faint" }, "The AR reads what you write here, against the same activation (n = 1). "
        + "Where a true claim is made false and the score stays, the score does not read it."),
      this.text, el("div", { class: "row" }, this.reset, this.result), this.scale, this.changes);
    // What is true may be known later than the score.
    whileShown(this.element, about.session, () => this.#clauses() !== this.clauses && this.#drawChanges());
    this.#draw(null);
  }

  /** Nothing is asked before something is changed. */
  begin() {}

  /** Put a text in and score it. @param {string} text @returns {Promise<?{old: ?number, now: ?number}>} */
  async show(text) {
    this.text.value = text;
    this.rest.stop();
    return this.#score();
  }

  #typed() {
    this.scores.stop();
    this.now = null;
    fill(this.result, "\u2026");
    this.rest.later(() => this.element.isConnected && this.#score());
  }

  async #score() {
    const { content } = this.about;
    const text = this.text.value;
    this.now = null;
    if (text === content || text.trim() === "") {
      this.scores.stop();
      this.#draw(null);
      return null;
    }
    this.#draw("Scoring\u2026");
    try {
      // Both in one request: what differs is the text, not the batch.
      const found = await this.scores.of([content, text]);
      if (found === null) return null;
      const [old, now] = found;
      this.now = now;
      this.#draw(changed(old, now), old);
      announce(changed(old, now));
      return { old, now };
    } catch (error) {
      this.#draw(trouble(error, () => this.#score()));
      return null;
    }
  }

  #draw(result, old = this.about.sample.fve_centred_train) {
    const { content } = this.about;
    const text = this.scored = this.text.value;
    const none = text.trim() === "" ? "There is nothing to score." : "Not changed.";
    this.reset.disabled = text === content;
    fill(this.result, result ?? none);
    fill(this.scale, scale(old, this.now));
    this.#drawChanges();
  }

  #clauses() {
    const { app, session } = this.about;
    return this.scored.trim() === "" ? null : app.clausesOf(session, this.scored);
  }

  #drawChanges() {
    const { content } = this.about;
    const text = this.scored;
    const clauses = this.clauses = this.#clauses();
    fill(this.changes,
      text === content ? null : el("p", { class: "doubt-diff", dir: "auto" }, ...diffed(content, text)),
      clauses?.length ? el("p", { class: "doubt-truth", dir: "auto" },
        el("span", { class: "faint" }, "What of it is true: "), ...marked(text, clauses)) : null);
  }
}
