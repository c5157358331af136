// How changes of a score are drawn. Nothing is told by colour alone: a bar has a side, a sign and a
// word, a marker a shape and a name, and every drawing a text.

import { el, svg } from "./dom.js";
import { score } from "./format.js";
import { changed, grown } from "./doubt_words.js";
import { difference } from "./doubt_texts.js";

const SPANS = [0.25, 0.5, 1, 2]; // how far a bar may reach: few, so that they can be compared
const CURVE = { width: 250, height: 140, left: 54, right: 42, top: 8, bottom: 20 };
const SCALE = { width: 320, height: 62, left: 8, right: 12 };
const MOST_NUMBERS = 12; // below the curve
const LOW = -1;

/** How far bars reach to each side. @param {(?number)[]} changes */
export function spanOf(changes) {
  const most = Math.max(0, ...changes.map((one) => Math.abs(one ?? 0)));
  return SPANS.find((span) => most <= span) ?? SPANS[SPANS.length - 1];
}

/** A change as a bar from the middle: to the left where the score falls. @param {?number} change */
export function bar(change, span) {
  const size = Math.min(1, Math.abs(change ?? 0) / span) * 50;
  return svg("svg", { class: "change-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none",
    "aria-hidden": "true" },
  svg("line", { x1: 0, x2: 100, y1: 5, y2: 5, class: "axis" }),
  change === null ? null : svg("rect", { x: change < 0 ? 50 - size : 50, width: size, y: 1, height: 8,
    class: change < 0 ? "carries" : "misleads" }),
  svg("line", { x1: 50, x2: 50, y1: 0, y2: 10, class: "zero" }));
}

/** The score as the text grows, part by part. @param {?number[]} beginnings null where none is known */
export function curve(beginnings, count) {
  const { width, height, left, right, top, bottom } = CURVE;
  const values = beginnings?.map((one) => Math.max(LOW, one)) ?? [];
  const low = Math.min(0, ...values) < -0.5 ? LOW : -0.5;
  const x = (place) => left + (place / Math.max(1, count)) * (width - left - right);
  const y = (value) => top + ((1 - value) / (1 - low)) * (height - top - bottom);
  const ticks = [1, 0.5, 0, -0.5, LOW].filter((tick) => tick >= low);
  const path = values.map((value, place) => `${place ? "V" : `M${left} `}${y(value)}H${x(place + 1)}`);
  const last = values[values.length - 1];
  return svg("svg", { class: "curve", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": beginnings ? grown(beginnings) : "Not scored yet" },
  ...ticks.map((tick) => svg("g", {},
    svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: lineOf(tick) }),
    svg("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, tickName(tick)))),
  ...numbered(count).map((place) => svg("text", { x: x(place + 0.5), y: height - bottom + 14,
    "text-anchor": "middle" }, place + 1)),
  beginnings ? svg("path", { d: path.join(""), class: "mine" }) : null,
  beginnings ? svg("text", { x: x(count) + 4, y: y(last) + 4, class: "last" }, score(beginnings.at(-1)))
    : null);
}

function lineOf(tick) {
  return tick === 0 ? "zero" : "axis";
}

function tickName(tick) {
  return tick === LOW ? `\u2264 ${score(tick)}` : score(tick);
}

function numbered(count) {
  const every = Math.ceil(count / MOST_NUMBERS);
  return Array.from({ length: count }, (_, place) => place).filter((place) => place % every === 0);
}

/** The score of the explanation and that of the edited text on one line. */
export function scale(old, now) {
  const { width, height, left, right } = SCALE;
  const x = (value) => left + ((Math.max(LOW, value) - LOW) / (1 - LOW)) * (width - left - right);
  const marker = (value, draw) => (value === null ? null : draw(x(value)));
  return svg("svg", { class: "score-scale", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": now === null ? `FVE ${score(old)}` : changed(old, now) },
  svg("line", { x1: x(LOW), x2: x(1), y1: 30, y2: 30, class: "axis" }),
  ...[LOW, -0.5, 0, 0.5, 1].map((tick) => svg("g", {},
    svg("line", { x1: x(tick), x2: x(tick), y1: 24, y2: 36, class: lineOf(tick) }),
    svg("text", { x: tick === LOW ? 0 : x(tick), y: 15, "text-anchor": tick === LOW ? "start" : "middle" },
      tickName(tick)))),
  old !== null && now !== null ? svg("line", { x1: x(old), x2: x(now), y1: 30, y2: 30, class: "way" }) : null,
  marker(old, (at) => svg("circle", { cx: at, cy: 30, r: 5.5, class: "old" })),
  marker(now, (at) => svg("path", { d: `M${at - 7} 30L${at} 23L${at + 7} 30L${at} 37Z`, class: "now" })),
  svg("circle", { cx: x(LOW) + 4, cy: 52, r: 4.5, class: "old" }),
  svg("text", { x: x(LOW) + 14, y: 56 }, "the explanation"),
  svg("path", { d: "M125 52L131 46L137 52L131 58Z", class: "now" }),
  svg("text", { x: 142, y: 56 }, "edited"));
}

/** What was changed: struck what is gone, underlined what is new. @returns {(Node|string)[]} */
export function diffed(original, edited) {
  const pieces = difference(original, edited);
  return pieces.flatMap(({ kind, text, isApart }, place) => {
    const isBehind = place > 0 && (isApart || pieces[place - 1].kind === "deleted");
    const hidden = (words) => el("span", { class: "visually-hidden" }, words);
    const piece = kind === "same" ? text : kind === "deleted"
      ? el("del", {}, hidden("deleted: "), text) : el("ins", {}, hidden("added: "), text);
    return [isBehind ? " " : "", piece];
  }).filter((one) => one !== "");
}
