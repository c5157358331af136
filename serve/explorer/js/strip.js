// A text token by token: coloured, and picked by mouse, touch or keys.

import { el, fill } from "./dom.js";
import { score, tokenName } from "./format.js";
import { stepOf } from "./scale.js";

const BLANK = /^\s+$/u;

/** The tokens of a text as one list box. */
export class Strip {
  /**
   * @param {{picked: (from: number, to: number, isMore: boolean) => void}} on what was picked
   * @param {string} label
   */
  constructor(on, label = "Tokens") {
    this.on = on;
    this.spans = [];
    this.anchor = this.active = 0;
    this.isExtending = false; // for fingers, which have no Shift
    this.element = el("div", {
      class: "strip", role: "listbox", tabindex: 0, dir: "auto", "aria-label": label,
      "aria-multiselectable": "true",
      on: { pointerdown: (event) => this.#down(event), keydown: (event) => this.#key(event) },
    });
  }

  /** Show a text. Fragments of one character are one thing to pick. */
  show(session) {
    this.session = session;
    this.spans = [];
    this.places = [];
    const pieces = [];
    let at = 0;
    session.tokens.forEach((token, position) => {
      if (token.fragment_index > 0) {
        this.places.push(this.spans.length - 1);
        return;
      }
      if (token.start > at) pieces.push(session.text.slice(at, token.start));
      at = Math.max(at, token.end);
      const span = this.#span(token, position);
      this.places.push(this.spans.length);
      this.spans.push(span);
      // A blank before a word stands outside: at the end of a line it would be a coloured stub.
      pieces.push(span.dataset.before, span);
    });
    if (at < session.text.length) pieces.push(session.text.slice(at, session.text.length));
    const shown = document.createDocumentFragment(); // of arguments a call has not as many
    for (const piece of pieces) shown.append(piece);
    // With it, Chromium goes through all of the text anew for every piece that is put in.
    this.element.removeAttribute("dir");
    fill(this.element, shown);
    this.element.setAttribute("dir", "auto");
    this.active = Math.min(this.active, this.spans.length - 1);
  }

  /** Colour tokens. @param {(position: number) => {fve: ?number, isFailed: boolean, isBusy: boolean}} of */
  colour(of) {
    this.spans.forEach((span) => {
      const { fve, isFailed, isBusy } = of(Number(span.dataset.at));
      const step = stepOf(fve);
      const wanted = [step === null ? "" : `q${step}`, isFailed && "failed", isBusy && "busy"];
      const names = wanted.filter(Boolean).join(" ");
      if (span.dataset.shown === names) return;
      span.classList.remove(...(span.dataset.shown ?? "").split(" ").filter(Boolean));
      span.classList.add(...names.split(" ").filter(Boolean));
      span.dataset.shown = names;
      span.setAttribute("aria-label", this.#label(span, fve, isFailed));
    });
  }

  /** Mark what is picked. @param {Set<number>} positions @param {?number} active */
  pick(positions, active) {
    for (const span of this.spans) {
      const isPicked = positions.has(Number(span.dataset.at));
      span.classList.toggle("picked", isPicked);
      span.setAttribute("aria-selected", String(isPicked));
    }
    // The end that is being moved stays where it is: to the left of its anchor, too.
    const isPicked = (place) => positions.has(Number(this.spans[place]?.dataset.at));
    const isMoving = this.active !== this.anchor && isPicked(this.active);
    if (isMoving || active === null || active === undefined) return;
    this.#activate(this.places[active] ?? 0);
    if (!isPicked(this.anchor)) this.anchor = this.active; // by a link
  }

  #span(token, position) {
    const { session } = this;
    const whole = token.end > token.start ? session.text.slice(token.start, token.end) : token.text;
    const [before] = BLANK.test(whole) ? [""] : /^ */u.exec(whole);
    const shown = whole.slice(before.length);
    const marks = [
      token.end === token.start && "special",
      position >= session.maxTokens && "unread",
      /\n/u.test(shown) && "newline",
      BLANK.test(shown) && "blank",
      token.section && token.section !== "content" && "scaffold",
    ].filter(Boolean).join(" ");
    return el("span", { class: `token ${marks}`.trim(), role: "option", id: `${this.#id()}-${position}`,
      "aria-selected": "false", data: { at: position, count: token.fragment_count, before } }, shown);
  }

  #id() {
    this.id ??= `strip${(Strip.made = (Strip.made ?? 0) + 1)}`;
    return this.id;
  }

  #label(span, fve, isFailed) {
    const position = Number(span.dataset.at);
    const name = tokenName(this.session.tokens[position].text);
    const found = isFailed ? ", no explanation" : fve === null ? "" : `, FVE ${score(fve)}`;
    return `${name}, token ${position}${found}`;
  }

  #placeOf(target) {
    const span = target.closest?.(".token");
    return span && this.element.contains(span) ? this.spans.indexOf(span) : -1;
  }

  #down(event) {
    const place = this.#placeOf(event.target);
    if (place < 0 || event.button !== 0) return;
    if (event.shiftKey) event.preventDefault(); // the browser would select text
    if (!event.shiftKey && !this.isExtending) this.anchor = place;
    this.#range(place, event.ctrlKey || event.metaKey);
    if (event.pointerType === "touch") return; // a finger that moves scrolls
    this.#follow(event);
  }

  #follow(event) {
    const move = (one) => {
      const place = this.#placeOf(document.elementFromPoint(one.clientX, one.clientY) ?? document.body);
      if (place >= 0 && place !== this.active) this.#range(place, false);
      if (this.active !== this.anchor) getSelection()?.removeAllRanges();
    };
    const up = () => {
      if (this.active !== this.anchor) getSelection()?.removeAllRanges(); // the last move selected, too
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
    this.element.focus({ preventScroll: true });
    event.stopPropagation();
  }

  #key(event) {
    const last = this.spans.length - 1;
    const steps = { ArrowLeft: this.active - 1, ArrowRight: this.active + 1, Home: 0, End: last,
      ArrowUp: this.#line(-1), ArrowDown: this.#line(1) };
    if (!(event.key in steps) || event.altKey) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(last, steps[event.key]));
    if (!event.shiftKey) this.anchor = place;
    this.#range(place, false);
    this.spans[place].scrollIntoView({ block: "nearest" });
  }

  /** The token above or below the active one. */
  #line(way) {
    const from = this.spans[this.active]?.getBoundingClientRect();
    if (!from) return 0;
    const middle = from.left + from.width / 2;
    let best = this.active, distance = Infinity, line = null;
    for (let place = this.active + way; this.spans[place]; place += way) {
      const box = this.spans[place].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < 4) continue;
      line ??= box.top;
      if (Math.abs(box.top - line) > 4) break;
      const away = Math.abs(box.left + box.width / 2 - middle);
      if (away < distance) [best, distance] = [place, away];
    }
    return best;
  }

  #range(place, isMore) {
    this.#activate(place);
    const [from, to] = [this.anchor, place].sort((one, other) => one - other);
    const last = this.spans[to];
    this.on.picked(Number(this.spans[from].dataset.at),
      Number(last.dataset.at) + Number(last.dataset.count) - 1, isMore);
  }

  #activate(place) {
    this.active = place;
    const span = this.spans[place];
    if (span) this.element.setAttribute("aria-activedescendant", span.id);
    for (const one of this.element.querySelectorAll(".active")) one.classList.remove("active");
    span?.classList.add("active");
  }
}
