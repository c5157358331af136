// Which part of an explanation carries its score: the score without each, and as the text grows.

import { announce, button, details, el, fill } from "./dom.js";
import { bar, curve, spanOf } from "./doubt_draw.js";
import { Rest, Scores, trouble } from "./doubt_scores.js";
import { spot } from "./doubt_spot.js";
import { asked } from "./doubt_texts.js";
import { carried, roleOf } from "./doubt_words.js";
import { change, plural, score } from "./format.js";

const ROLES = { carries: "carries score", misleads: "misleads", nothing: "carries nothing" };

/** The parts with what the score is without them. */
export class Carry {
  /**
   * @param {object} about what is doubted
   * @param {{only: (part: object) => void, swap: (place: number) => void}} on
   */
  constructor(about, on) {
    Object.assign(this, { about, on, rest: new Rest(), scores: new Scores(about.session, about.site) });
    this.seen = el("p", { class: "doubt-seen" });
    this.list = el("ol", { class: "doubt-parts" });
    this.figure = el("figure", { class: "doubt-curve" });
    this.caption = el("p", { class: "faint" });
    this.element = el("div", { class: "doubt-body" }, this.seen, el("div", { class: "doubt-grid" },
      el("div", {}, this.list, this.caption), this.figure), this.#meaning());
    this.#draw(null);
  }

  /** Score the parts, if they are not scored yet. */
  begin() {
    if (this.found || this.about.parts.length === 0) return;
    this.rest.later(() => this.element.isConnected && this.#score());
  }

  async #score() {
    const { content, parts } = this.about;
    const { texts, whole, dropped, beginnings } = asked(content, parts);
    fill(this.seen, "Scoring\u2026");
    try {
      const found = await this.scores.of(texts);
      if (found === null) return;
      const at = (place) => (place === null ? null : found[place]);
      const without = dropped.map(at).map((one) => (one === null ? null : one - at(whole)));
      this.found = { whole: at(whole), changes: without, beginnings: beginnings.map(at) };
      this.about.changes = without;
      this.#draw(this.found);
      announce(this.seen.textContent);
    } catch (error) {
      fill(this.seen, trouble(error, () => this.#score()));
    }
  }

  #draw(found) {
    const { parts } = this.about;
    const changes = found?.changes ?? parts.map(() => null);
    const span = spanOf(changes);
    fill(this.seen, found ? carried(found.whole, changes.filter((one) => one !== null))
      : parts.length ? "Not scored yet." : "The explanation is empty: there is nothing to take apart.");
    fill(this.list, ...parts.map((part, place) => this.#row(part, place, changes[place], span)));
    fill(this.caption, ...this.#legend(span));
    const isKnown = found && found.whole !== null;
    fill(this.figure, curve(isKnown ? found.beginnings : null, parts.length),
      el("figcaption", { class: "faint" }, "FVE after so many parts; 0 is what the mean vector scores"));
  }

  #row(part, place, without, span) {
    const role = roleOf(without);
    const light = (one) => spot(this.element.closest(".panel")?.querySelector(".explanation"),
      this.about.content, one);
    return el("li", { class: "doubt-part", data: { role: role ?? "open" }, on: {
      pointerenter: () => light(part), pointerleave: () => light(null),
      focusin: () => light(part), focusout: () => light(null) } },
    el("div", { class: "part-head" },
      el("span", { class: "part-text", dir: "auto" }, part.text), this.#acts(part, place)),
    bar(without, span),
    el("span", { class: "number", title: "FVE without this part less FVE of the whole" },
      without === null ? "\u2026" : change(without)),
    el("span", { class: "part-role" }, role ? ROLES[role] : ""));
  }

  #acts(part, place) {
    const named = (name) => ({ class: "small quiet", "aria-label": `${name}: part ${place + 1}` });
    return el("span", { class: "part-acts" },
      button("Only this", () => this.on.only(part), named("Only this")),
      button("Swap", () => this.on.swap(place), named("Swap")));
  }

  #legend(span) {
    const { parts, unit, numFound } = this.about;
    const merged = numFound > parts.length
      ? ` ${plural(numFound, unit)} are shown as ${parts.length}: the shortest neighbours as one.` : "";
    return [`Bars: the change of FVE without the part, \u2212${score(span)} to +${score(span)}. `
      + "To the left it falls: the part carries score. To the right it rises: the part misleads."
      + merged];
  }

  #meaning() {
    const { parts } = this.about;
    return details("What these numbers are", { class: "doubt-note" },
      el("p", { class: "faint" }, "FVE of one activation: 1 \u2212 NMSE / denominator, by the same AR as "
        + "above; 0 is what the mean vector scores, 1 is perfect. Each part is left out once, and each "
        + `beginning is read once: n = 1 explanation of 1 activation, in ${plural(parts.length, "part")}. `
        + "The changes need not add up to the score: what two parts both tell is not missed when one is left "
        + "out, and the AR reads a part with what stands around it. A change below .005 counts as nothing. "
        + "It says nothing of other activations."));
  }
}
