// Three notes for who is here for the first time: what the colour is, what a score is worth, and how to
// doubt it. Each stands beside what it is about, and nothing waits for them.

import { announce, button, el, fill } from "./dom.js";
import { remember, remembered } from "./memory.js";

const SEEN = "tour"; // what is remembered
const NARROW = "(max-width: 700px)"; // there a note is a sheet at the bottom
const GAP = 12; // pixels between a note and what it is about, and to the edge
const CONTROLS = "a, button, input, select, summary, textarea"; // they want Enter for themselves
const READY = ".read .panel .verdict, .read .panel .worth .notice"; // what is read first is there

const STEPS = [
  { at: ".text-card", sides: ["below", "above", "right"], title: "The text, as the model reads it",
    text: "The colour says how well the activation behind the words can be rebuilt from its explanation alone: "
      + "blue is better than always answering the mean vector, orange is worse. Click another place." },
  { at: ".panel .worth", sides: ["left", "above", "below"], title: "What the score is worth",
    text: "These words were written from the activation, not from the text. On the line below stand "
      + "simpler systems: where one of them scores as much, the words have shown nothing." },
  { at: ".panel .doubt, .panel .worth", sides: ["left", "above", "below"], title: "Doubt it",
    text: "Leave a sentence out, or make it false. If the score does not fall, it does not rest on it." },
];

/** Notes for the first visit, and again when somebody asks. @param {import("./app.js").App} app */
export function tour(app) {
  const notes = new Notes(app);
  addEventListener("tour", () => notes.asked());
  if (remembered(SEEN) === null) notes.begin();
}

/** The notes, one at a time. */
class Notes {
  constructor(app) {
    Object.assign(this, { app, step: -1, target: null, narrow: matchMedia(NARROW) });
    this.element = el("aside", { class: "tour", role: "note", tabindex: -1 });
    this.place = this.place.bind(this);
    this.key = this.key.bind(this);
    this.turned = () => this.app.view === "read" || this.end();
  }

  /** Somebody wants to see them: what they are about is in Read. */
  async asked() {
    this.end();
    if (this.app.view !== "read") await this.#turned();
    return this.begin();
  }

  /** Begin once there is something to show; a link that leads elsewhere is followed. */
  async begin() {
    const own = (this.waiting = {}); // whoever begins later takes over
    await there(() => document.querySelector(READY) && !document.querySelector("dialog[open]"));
    if (own !== this.waiting) return;
    document.body.append(this.element);
    addEventListener("scroll", this.place, { capture: true, passive: true });
    addEventListener("resize", this.place);
    addEventListener("keydown", this.key);
    this.app.addEventListener("change", this.turned);
    this.watcher = new ResizeObserver(this.place);
    this.watcher.observe(document.getElementById("main"));
    this.show(0);
  }

  #turned() {
    const { prompt, model, host, site } = this.app;
    return this.app.turn({ view: "read", text: prompt?.text ?? null, messages: prompt?.messages ?? null,
      model: model.id, host: host.tag, site, more: {} });
  }

  /** Never again, unless somebody asks. */
  end() {
    this.waiting = null;
    if (!this.element.isConnected) return;
    remember(SEEN, "seen");
    const hadFocus = this.element.contains(document.activeElement);
    this.element.remove();
    this.#marked(null);
    removeEventListener("scroll", this.place, { capture: true });
    removeEventListener("resize", this.place);
    removeEventListener("keydown", this.key);
    this.app.removeEventListener("change", this.turned);
    this.watcher.disconnect();
    if (hadFocus) document.querySelector(".strip")?.focus({ preventScroll: true });
  }

  /** One of the notes. @param {number} step */
  show(step) {
    if (step >= STEPS.length) return this.end();
    const { title, text } = STEPS[step];
    const isLast = step === STEPS.length - 1;
    const hadFocus = this.element.contains(document.activeElement);
    this.step = step;
    this.element.setAttribute("aria-label", `Tour, ${step + 1} of ${STEPS.length}`);
    const next = button(isLast ? "Done" : "Next", () => this.show(step + 1), { class: "primary small" });
    fill(this.element, el("h2", {}, title), el("p", {}, text),
      el("div", { class: "row" }, el("span", { class: "faint number" }, `${step + 1} of ${STEPS.length}`),
        isLast ? null : button("End the tour", () => this.end(), { class: "quiet small" }), next));
    if (hadFocus) next.focus({ preventScroll: true });
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
    this.#target()?.scrollIntoView({ block: this.narrow.matches ? "start" : "nearest", behavior });
    this.place();
    announce(`${title}. ${text}`);
  }

  /** Where it is about, wherever that is now. */
  place() {
    const target = this.#target();
    this.#marked(target);
    this.element.classList.toggle("sheet", this.narrow.matches);
    if (this.narrow.matches || !target) return;
    const { left, top } = placeOf(target.getBoundingClientRect(), this.element.getBoundingClientRect(),
      STEPS[this.step].sides);
    this.element.style.setProperty("left", `${left}px`);
    this.element.style.setProperty("top", `${top}px`);
  }

  /** Enter goes on and Escape ends, where no control and no dialog wants them. */
  key(event) {
    if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
    if (event.key === "Escape") this.end();
    else if (event.key === "Enter" && !event.target.closest(CONTROLS)) this.show(this.step + 1);
    else return;
    event.preventDefault();
  }

  /** The first of what a note may be about that is on the page. */
  #target() {
    return STEPS[this.step].at.split(", ").map((one) => document.querySelector(one)).find(Boolean) ?? null;
  }

  #marked(target) {
    if (this.target === target) return;
    this.target?.classList.remove("tour-target");
    target?.classList.add("tour-target");
    this.target = target;
  }
}

/** Beside a box where there is space, inside the window in any case. */
function placeOf(box, own, sides) {
  const [left, top] = [box.left + (box.width - own.width) / 2, box.top + (box.height - own.height) / 2];
  const places = {
    right: { left: box.right + GAP, top }, left: { left: box.left - own.width - GAP, top },
    below: { left, top: box.bottom + GAP }, above: { left, top: box.top - own.height - GAP },
  };
  const [right, bottom] = [innerWidth - own.width - GAP, innerHeight - own.height - GAP];
  const fits = {
    right: () => places.right.left <= right, left: () => places.left.left >= GAP,
    below: () => places.below.top <= bottom, above: () => places.above.top >= GAP,
  };
  const found = places[sides.find((side) => fits[side]()) ?? sides[0]];
  const inside = (value, most) => Math.max(GAP, Math.min(value, most));
  return { left: inside(found.left, right), top: inside(found.top, bottom) };
}

/** When something is so, asked whenever the page changes. */
function there(isSo) {
  if (isSo()) return Promise.resolve();
  return new Promise((resolve) => {
    const watcher = new MutationObserver(() => {
      if (!isSo()) return;
      watcher.disconnect();
      resolve();
    });
    const wanted = { childList: true, subtree: true, attributes: true, attributeFilter: ["open"] };
    watcher.observe(document.body, wanted);
  });
}
