// A link to one explanation: where it is, what was seen there, a part of it, and a comment.

import { button, el, fill, select } from "./dom.js";
import { count } from "./format.js";
import { copyButton } from "./keep_copy.js";
import { inLink, MOST_COMMENT, pin, pinsOf, seenNow, selectedIn, shortened } from "./keep_pins.js";
import { keyOf } from "./sites.js";
import { fragmentOf } from "./state.js";
import { Text } from "./text.js";

const LONG = 8000; // characters beyond which programs that pass links on are known to cut them

/** The editor of a link. */
export class LinkEditor {
  /** @param {object} context of keep.js */
  constructor(context) {
    this.context = context;
    this.words = wordsOf(context.sample.explanation ?? "");
    this.mark = el("div", { class: "row" });
    this.left = el("span", { class: "faint number" });
    this.comment = el("textarea", { rows: 2, dir: "auto", "aria-label": "Note",
      placeholder: "A note that opens with the link",
      on: { input: () => this.#typed(), change: () => this.#pin({ comment: this.comment.value }) } });
    this.link = el("input", { type: "text", readonly: "", dir: "ltr", "aria-label": "Link",
      on: { focus: () => this.link.select() } });
    this.problem = el("p", { class: "faint" });
    const copy = copyButton("Copy link", () => this.link.value, { class: "primary" });
    this.element = el("div", { class: "keep-part", role: "group", "aria-label": "Link" },
      this.mark, el("div", { class: "keep-comment" }, this.comment, this.left),
      el("div", { class: "keep-link" }, this.link, copy), this.problem);
    this.comment.value = pinsOf(context).comment;
    this.#draw();
    this.listen();
  }

  /** Take what is selected in the explanation, until this is closed. */
  listen() {
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    document.addEventListener("pointerup", () => this.#selected(), { signal });
  }

  /** End listening. */
  close() {
    this.stopper.abort();
  }

  #selected() {
    if (!this.element.isConnected) return this.close();
    const shown = this.element.closest(".panel")?.querySelector(".explanation");
    const mark = shown && selectedIn(shown, getSelection());
    if (mark) this.#pin({ mark });
  }

  #pin(pins) {
    pin(this.context, { ...seenNow(this.context), ...pins });
    this.#draw();
  }

  #typed() {
    const cut = shortened(this.comment.value);
    if (cut !== this.comment.value) this.comment.value = cut;
    this.#drawLink();
  }

  #draw() {
    const { mark } = pinsOf(this.context);
    const [first, last] = this.#wordsIn(mark);
    const all = this.words.map(({ text }, place) => [String(place), `${place + 1} ${text}`]);
    const isMarked = first !== undefined;
    fill(this.mark, all.length === 0 ? null : [
      select("Highlight from", [["", "nothing"], ...all], String(first ?? ""), (value) => this.#from(value)),
      isMarked && select("to", all.slice(first), String(last), (value) => this.#to(first, Number(value))),
      isMarked ? button("Remove", () => this.#pin({ mark: null }),
        { class: "small quiet", "aria-label": "Remove the highlight" })
        : el("span", { class: "faint" }, "or select words above"),
    ]);
    this.#drawLink();
  }

  #from(value) {
    if (value === "") return this.#pin({ mark: null });
    const [, last] = this.#wordsIn(pinsOf(this.context).mark);
    this.#markWords(Number(value), Math.max(Number(value), last ?? 0));
    return this.mark.querySelectorAll("select")[0].focus(); // it was drawn again
  }

  #to(first, last) {
    this.#markWords(first, last);
    this.mark.querySelectorAll("select")[1].focus();
  }

  #markWords(first, last) {
    this.#pin({ mark: { start: this.words[first].start, end: this.words[last].end } });
  }

  #wordsIn(mark) {
    if (!mark) return [];
    const isIn = (word) => word.start < mark.end && word.end > mark.start;
    const [first, last] = [this.words.findIndex(isIn), this.words.findLastIndex(isIn)];
    return first < 0 ? [] : [first, last];
  }

  async #drawLink() {
    const comment = this.comment.value;
    const left = MOST_COMMENT - new Text(comment).length;
    this.left.textContent = left < 100 ? `${left} characters left` : "";
    const link = await linkOf(this.context, { ...pinsOf(this.context), ...seenNow(this.context), comment });
    if (comment !== this.comment.value) return; // what was typed since has its own
    this.link.value = link;
    this.problem.textContent = link.length > LONG ? "The text is in the link, which has "
      + `${count(link.length)} characters: a mail or chat program may cut it.` : "";
  }
}

/** The address at which an explanation opens again. @param {import("./keep_pins.js").Pins} pins */
export async function linkOf(context, pins) {
  const { session, site } = context;
  const { text = null, messages = null } = session.prompt;
  const shown = { view: "read", text, messages, model: session.model.id, host: session.host.tag,
    site: keyOf(site), more: inLink(context, pins) };
  return location.href.replace(/#.*$/su, "") + (await fragmentOf(shown));
}

/** Words with their places in code points. @param {string} content */
function wordsOf(content) {
  const text = new Text(content);
  return [...content.matchAll(/\S+/gu)].map((match) => ({ text: match[0], start: text.point(match.index),
    end: text.point(match.index + match[0].length) }));
}
