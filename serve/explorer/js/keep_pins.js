// What a link pins of an explanation beside where it is: a comment, a part of it, and what was seen.

import { button, el } from "./dom.js";
import { shortDigest, shortHash } from "./keep_hash.js";
import { keyOf } from "./sites.js";
import { Text } from "./text.js";

export const MOST_COMMENT = 512;
/** What leaves the link when something else is shown than what it was made of. */
export const UNPINNED = { mark: null, comment: null, digest: null, seen: null, sample: null };
const changed = new WeakMap(); // by session: what was pinned since the link was opened

/**
 * @typedef {object} Pins
 * @property {?{start: number, end: number}} mark code points of the explanation
 * @property {string} comment
 * @property {?string} digest of the bundle that the link was made with
 * @property {?string} seen hash of that digest and of the explanation that was shown
 */

/** What is pinned of one explanation; nothing where a link is of another. @returns {Pins} */
export function pinsOf(context) {
  return changed.get(context.session)?.get(nameOf(context)) ?? linked(context);
}

/** Pin something else. @param {Partial<Pins>} pins what is left out stays */
export function pin(context, pins) {
  const { app, session } = context;
  const found = { ...pinsOf(context), ...pins };
  if (!changed.has(session)) changed.set(session, new Map());
  changed.get(session).set(nameOf(context), found);
  if (isOfLink(context)) app.keep(inLink(context, found));
  session.changed();
}

/** The entries of a link, as state.js wants them. @param {Pins} pins */
export function inLink({ sample, options }, { mark, comment, digest, seen }) {
  return { n: options.n > 1 ? String(options.n) : null, sample: sample.sample ? String(sample.sample) : null,
    mark: mark && `${mark.start}-${mark.end}`, comment: comment || null, digest, seen };
}

/** What is seen now, by which a link is checked later. */
export function seenNow({ session, sample }) {
  const digest = shortDigest(session.model);
  return { digest, seen: seenWith(digest, sample.explanation) };
}

/** The explanation with what is pinned of it: a note above it, and its part marked. */
export function pinned(context, shown) {
  const pins = pinsOf(context);
  const change = changeOf(context, pins);
  if (pins.mark && context.sample.done && !change?.isOtherText) highlight(shown, pins.mark);
  const warning = change && el("p", { class: "notice warn" }, change.text);
  return [pins.comment ? note(context, pins.comment) : null, warning, shown];
}

/** What differs from what the link was made with. @returns {?{text: string, isOtherText: boolean}} */
export function changeOf({ session, sample }, { digest, seen, mark }) {
  if (!seen || !sample.done) return null;
  const here = shortDigest(session.model);
  const isOtherText = seen !== seenWith(digest, sample.explanation);
  const isOtherBundle = digest !== here;
  if (!isOtherText && !isOtherBundle) return null;
  const bundles = `another bundle (${digest ?? "without a digest"}; here ${here ?? "without one"})`;
  const text = isOtherBundle && isOtherText ? `This link was made with ${bundles}, and another explanation.`
    : isOtherBundle ? `This link was made with ${bundles}; the explanation is the same.`
      : "This link was made with another explanation: the same bundle answers something else here.";
  return { isOtherText, text: text + (isOtherText && mark ? " What it marked is not shown." : "") };
}

/** The part of a text that a selection covers, in code points; null where it covers none. */
export function selectedIn(element, selection) {
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  if (!range.intersectsNode(element)) return null;
  let at = 0, start = null, end = null;
  for (const node of textsOf(element)) {
    const from = node === range.startContainer ? range.startOffset : 0;
    const to = node === range.endContainer ? range.endOffset : node.length;
    if (range.intersectsNode(node) && to > from) {
      start ??= at + pointsOf(node.data.slice(0, from));
      end = at + pointsOf(node.data.slice(0, to));
    }
    at += pointsOf(node.data);
  }
  return end === null ? null : { start, end };
}

/** Mark a part of what an element shows, across whatever is marked in it for other reasons. */
export function highlight(element, { start, end }) {
  let at = 0;
  for (const node of textsOf(element)) {
    const text = new Text(node.data);
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, text.length)];
    at += text.length;
    if (from >= to) continue;
    const inner = el("mark", { class: "pinned" }, text.slice(from, to));
    const parts = [text.slice(0, from), inner, text.slice(to, text.length)];
    node.replaceWith(...parts.filter((one) => one !== ""));
  }
}

function linked(context) {
  const none = { mark: null, comment: "", digest: null, seen: null };
  if (!isOfLink(context)) return none;
  const { mark, comment, digest, seen } = context.app.more;
  return { ...none, mark: markOf(mark), comment: shortened(comment ?? ""), digest, seen };
}

/** Whether what is in the address is about this explanation. */
function isOfLink({ app, site, options, sample }) {
  return app.view === "read" && app.site === keyOf(site)
    && Number(app.more.n ?? 1) === (options.n ?? 1) && Number(app.more.sample ?? 0) === sample.sample;
}

/** A comment at its most. @param {string} comment */
export function shortened(comment) {
  const text = new Text(comment);
  return text.length > MOST_COMMENT ? text.slice(0, MOST_COMMENT) : comment;
}

function markOf(given) {
  const [, start, end] = /^(\d{1,6})-(\d{1,6})$/u.exec(given ?? "") ?? [];
  return Number(start) < Number(end) ? { start: Number(start), end: Number(end) } : null;
}

function seenWith(digest, explanation) {
  return shortHash(`${digest ?? ""}\n${explanation ?? ""}`);
}

function note(context, comment) {
  const remove = button("\u00d7", () => pin(context, { comment: "" }),
    { class: "small quiet", "aria-label": "Remove the note" });
  return el("aside", { class: "pinned-note", "aria-label": "Note" },
    el("p", { class: "faint" }, "A note in the link, by whoever made it"), remove,
    el("p", { class: "pinned-comment", dir: "auto" }, comment));
}

/** The texts of an element, without the signs beside statements that are marked true or false. */
function textsOf(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.closest(".mark-sign") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode);
  return found;
}

function pointsOf(text) {
  return new Text(text).length;
}

function nameOf({ site, options, sample }) {
  return `${keyOf(site)}|${options.n ?? 1}|${sample.sample}`;
}
