// Doubt in an explanation: which part of it carries the score, and whether the score falls when it is
// made false.

import { el } from "./dom.js";
import { Carry } from "./doubt_carry.js";
import { Edit } from "./doubt_edit.js";
import { Swap } from "./doubt_swap.js";
import { partsOf } from "./doubt_texts.js";

const WIDE = "(min-width: 1061px)"; // as in css/read.css
const opened = new Map(); // which sections: the next explanation is shown with the same ones

/**
 * The sections below a score.
 * @param {{app: object, session: import("./session.js").Session, site: import("./sites.js").Site,
 *   sample: object, controls: () => object[]}} context
 * @returns {HTMLElement}
 */
export function doubt(context) {
  const content = context.sample.explanation;
  const about = { ...context, content, ...partsOf(content) };
  const edit = new Edit(about);
  const swap = new Swap(about, { chosen: (text) => shown(sections.edit, () => edit.show(text)) });
  const carry = new Carry(about, {
    only: (part) => shown(sections.edit, () => edit.show(part.text)),
    swap: (place) => shown(sections.swap, () => swap.show(place)) });
  const sections = { carry: section("carry", "Which part carries it", carry, matchMedia(WIDE).matches),
    swap: section("swap", "Swap a claim", swap), edit: section("edit", "Edit it", edit) };
  return el("section", { class: "doubt", "aria-label": "Doubt" },
    el("h3", {}, "Does the score read the text?"), ...Object.values(sections));
}

function section(name, title, content, isOpen = false) {
  const made = el("details", { class: "doubt-section", open: opened.get(name) ?? isOpen },
    el("summary", {}, title), content.element);
  made.addEventListener("toggle", () => {
    opened.set(name, made.open);
    if (made.open) content.begin();
  });
  return made;
}

/** Open a section, do something in it and bring it into sight. */
async function shown(section, act) {
  section.open = true;
  const found = act();
  section.scrollIntoView({ block: "nearest" });
  return found;
}
