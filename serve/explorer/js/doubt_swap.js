// A claim swapped for a false one, or for what other explanations have in its place: a score that
// reads the claim falls.

import { announce, button, el, fill, select } from "./dom.js";
import { diffed } from "./doubt_draw.js";
import { Scores, trouble, whileShown } from "./doubt_scores.js";
import { dropped, falseSwaps, foreignSwaps, isElsewhere, spread } from "./doubt_texts.js";
import { swapped } from "./doubt_words.js";
import { change, plural } from "./format.js";
import { keyOf, siteName } from "./sites.js";
import { excerpt } from "./text.js";

/** Replacements of one part, and what they do to the score. */
export class Swap {
  /** @param {object} about what is doubted @param {{chosen: (text: string) => Promise<?object>}} on */
  constructor(about, on) {
    Object.assign(this, { about, on, place: 0, known: undefined });
    this.scores = new Scores(about.session, about.site);
    this.element = el("div", { class: "doubt-body" });
    whileShown(this.element, about.session, () => this.offered?.swaps.length === 0 && this.#draw());
  }

  /** Offer replacements, now that they are wanted. */
  async begin() {
    if (this.isBegun) return;
    this.isBegun = true;
    this.known = await factsOf(this.about).catch(() => null);
    this.#draw();
  }

  /** Swap another part. @param {number} place */
  async show(place) {
    this.place = place;
    if (this.known === undefined) await this.begin();
    else this.#draw();
  }

  #draw() {
    const { parts } = this.about;
    this.scores.stop();
    if (parts.length === 0) return fill(this.element, "The explanation is empty.");
    const offered = this.offered = offeredOf(this.about, parts[this.place], this.known);
    const names = parts.map(({ text }, place) => [String(place), `${place + 1}: ${excerpt(text, 60)}`]);
    this.numbers = new Map(offered.swaps.map((one) => [one, el("span", { class: "number" })]));
    this.verdict = el("div", { class: "doubt-verdict" });
    return fill(this.element,
      select("Part", names, String(this.place), (value) => this.show(Number(value))),
      el("p", { class: "faint" }, originOf(offered, parts[this.place], parts)),
      el("ul", { class: "doubt-swaps" }, ...offered.swaps.map((one) => this.#row(one))),
      offered.swaps.length ? el("div", { class: "row" },
        button(`Try all ${offered.swaps.length}`, () => this.#tryAll(offered), { class: "small" })) : null,
      this.verdict);
  }

  #row(one) {
    const { parts } = this.about;
    return el("li", {},
      el("button", { type: "button", class: "swap-choice", dir: "auto",
        title: "Put it into the text and score it", on: { click: () => this.#choose(one) } },
      ...(one.isWhole ? [one.part] : diffed(parts[this.place].text, one.part))),
      el("span", { class: "swap-source faint" }, one.source),
      this.numbers.get(one));
  }

  async #choose(one) {
    const shown = this.numbers.get(one);
    const found = await this.on.chosen(one.text);
    if (found && found.old !== null && found.now !== null) fill(shown, change(found.now - found.old));
  }

  async #tryAll(offered) {
    const { content, parts } = this.about;
    const rest = dropped(content, [parts[this.place]]).filter((text) => text.trim() !== "");
    fill(this.verdict, "Scoring\u2026");
    try {
      const found = await this.scores.of([content, ...rest, ...offered.swaps.map(({ text }) => text)]);
      if (found === null) return;
      this.#tried(offered, found, rest.length);
    } catch (error) {
      fill(this.verdict, trouble(error, () => this.#tryAll(offered)));
    }
  }

  #tried({ swaps, isFalse }, [whole, ...others], numRest) {
    if (whole === null) return fill(this.verdict, "There is no FVE to compare.");
    const changes = others.map((one) => one - whole);
    const own = changes.slice(numRest);
    swaps.forEach((one, place) => fill(this.numbers.get(one), change(own[place])));
    const { isRead, text } = swapped(own, isFalse, numRest ? changes[0] : null);
    announce(text);
    return fill(this.verdict, el("p", { class: `verdict ${isRead ? "good" : "weak"}` }, text),
      el("p", { class: "faint" }, "Changes of FVE against the whole text, "
        + `n = ${plural(swaps.length, "text")} of 1 activation; one below .005 is none. Below the `
        + "score without the part, the AR takes the false claim at its word."));
  }
}

/** What can stand in a part's place, and whether it is known to be false there. */
function offeredOf(about, part, known) {
  const { content } = about;
  const found = known ? falseSwaps(content, part, known.facts, known.kinds) : [];
  if (found.length) return { isFalse: true, isKnown: true, numFound: found.length, swaps: spread(found) };
  const foreign = foreignSwaps(content, part, othersOf(about)).map((one) => ({ ...one, isWhole: true }));
  return { isFalse: false, isKnown: known !== null, numFound: foreign.length, swaps: foreign };
}

/** Where replacements come from, and what is known of them. */
function originOf({ isFalse, isKnown, numFound, swaps }, part, parts) {
  const lacks = isKnown ? "This part names no value that is true here. " : "";
  if (swaps.length === 0) {
    return `${lacks}There is nothing to swap in: explain other tokens of this text, or edit it by hand.`;
  }
  if (!isFalse) {
    return `${lacks}These are parts of the explanations of other tokens and of another passage, the nearest `
      + "in length: whether they are false here is not known.";
  }
  const pairs = [...new Map(swaps.map(({ source, from }) => [source, from]))];
  const double = pairs.map(([, value]) => value).filter((value) => isElsewhere(value, part, parts));
  const some = swaps.length < numFound ? ` (${swaps.length} of ${numFound}, evenly taken)` : "";
  return `True here: ${pairs.map(([kind, value]) => `${kind} ${value}`).join(", ")}. `
    + `Each line has another value, which is false here${some}.`
    + (double.length ? ` In other parts ${double.join(" and ")} stays.` : "");
}

/** Explanations of other sites in this session, and of another passage. */
function othersOf({ session, site, controls }) {
  const others = [...session.found.values()].filter((one) => keyOf(one.site) !== keyOf(site))
    .flatMap((one) => one.samples.filter((sample) => sample?.done && sample.explanation)
      .map(({ explanation }) => ({ explanation, source: siteName(one.site, session) })));
  const shuffled = controls().filter(({ name, explanation }) => name === "shuffled" && explanation)
    .map(({ explanation }) => ({ explanation, source: "another passage" }));
  return [...shuffled, ...others];
}

/** What is true of the text, and what else could be; null where nobody knows. */
async function factsOf({ app, session }) {
  const passage = await app.passageOf(session.text.content);
  const evaluation = app.evaluations.find(({ name }) => name === passage?.evaluation);
  return passage?.facts?.length && evaluation ? { facts: passage.facts, kinds: evaluation.kinds } : null;
}
