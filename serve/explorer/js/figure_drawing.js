// A figure for a paper as one SVG: it refers to nothing outside itself, and what a model or a user
// wrote is in it as text only. Measures by a canvas; knows no element of the page.

import { svg } from "./dom.js";
import { count, plural, score, trained } from "./format.js";
import { excerptOf } from "./figure_excerpt.js";
import { linesOf, piecesOf } from "./figure_lines.js";
import { shortDigest } from "./keep_hash.js";
import { ladder, SHORT, TITLES, verdict, WIDE } from "./ladder.js";
import { STEPS } from "./scale.js";
import { siteName, siteTokens } from "./sites.js";

export const WIDTH = 720;
const MARGIN = 28, INNER = WIDTH - 2 * MARGIN;
const SANS = "sans-serif", SERIF = "serif", MONO = "monospace";
/** The light colours of css/base.css, whatever the page shows: paper is white. */
export const COLOURS = { card: "#ffffff", ink: "#1f2328", faint: "#5b626d", rule: "#dedbd2",
  mine: "#0b5f6b", control: "#8a5a00", q0: "#f2a65e", q1: "#fbdcb5", q2: "#e3eef7", q3: "#bcd9ee",
  q4: "#8fc1e4", q5: "#63a7d8" };
/** The ladder's classes, which are no part of a file. */
const LADDER = { ".axis": { stroke: COLOURS.rule }, ".zero": { stroke: COLOURS.ink },
  ".mine": { fill: COLOURS.mine },
  ".control circle": { fill: COLOURS.control }, ".stem": { stroke: COLOURS.control, "stroke-opacity": 0.5 },
  text: { fill: COLOURS.faint, "font-size": 11, "font-family": SANS },
  ".control text": { "paint-order": "stroke", stroke: COLOURS.card, "stroke-width": 4 } };
// Characters that XML has no place for, halves of pairs among them.
const NO_XML = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

/**
 * The figure of one explanation.
 * @param {object} context of keep.js @param {object[]} controls none are fine
 * @returns {SVGSVGElement}
 */
export function figure(context, controls) {
  const page = new Page();
  page.heading(context);
  page.strip(excerptOf(context));
  page.explanation(context.sample);
  page.score(context.sample, controls);
  page.foot(context);
  return page.drawing(context);
}

/** The text of an SVG file. @param {SVGSVGElement} drawing */
export function fileOf(drawing) {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(drawing)}\n`;
}

class Page {
  constructor() {
    this.canvas = document.createElement("canvas").getContext("2d");
    this.parts = [];
    this.y = MARGIN;
  }

  heading({ session, site }) {
    const place = siteTokens(site, session);
    const name = site.kind === "token" ? `Token \u201c${siteName(site, session)}\u201d, ${place}`
      : site.kind === "mean" ? `${place[0].toUpperCase()}${place.slice(1)}`
        : [siteName(site, session), place].filter(Boolean).join(", ");
    this.#paragraph(name, { size: 13, leading: 18, family: SANS, fill: COLOURS.faint });
    this.y += 8;
  }

  strip(pieces) {
    if (pieces.length === 0) return;
    const font = (piece) => ({ size: piece.isSpecial ? 12 : 15, family: piece.isSpecial ? MONO : SANS });
    for (const line of linesOf(pieces, INNER, (piece) => this.#width(piece.text, font(piece)))) {
      for (const piece of line.pieces) this.#token(piece, font(piece), line.isRtl);
      this.y += 27;
    }
    if (pieces.some(isColoured)) this.#legend();
    this.y += 14;
  }

  explanation({ explanation }) {
    if (explanation === null) {
      const none = "No explanation: the AV did not close its tag.";
      this.#paragraph(none, { size: 15, leading: 22, family: SANS });
    } else {
      this.#paragraph(explanation, { size: 21, leading: 31, family: SERIF });
    }
    this.y += 12;
  }

  score(sample, controls) {
    const fve = sample.fve_centred_train;
    const size = 26;
    const text = `FVE ${score(fve)}`;
    this.#text(text, MARGIN, this.y + size - 4, { size, family: SANS, weight: 600, fill: COLOURS.mine });
    const x = MARGIN + this.#width(text, { size, family: SANS, weight: 600 }) + 18;
    const top = this.y;
    this.#paragraph(factsOf(sample), { size: 12.5, leading: 17, family: SANS, fill: COLOURS.faint, x });
    this.y = Math.max(this.y, top + 34) + 8;
    if (!controls.length) return;
    const found = verdict(fve, controls);
    if (found) this.#paragraph(found.text, { size: 13, leading: 18, family: SANS });
    this.y += 12;
    this.#ladder(fve, controls);
    const names = controls.map(({ name }) => `${SHORT[name] ?? name}: ${lower(TITLES[name] ?? name)}`);
    this.#paragraph(`${names.join("; ")}.`, { size: 11.5, leading: 16, family: SANS, fill: COLOURS.faint });
  }

  foot({ session, options, sample }) {
    const { model, host } = session;
    const { stage } = model.interlingua;
    const blocks = host.num_blocks ? ` of ${host.num_blocks}, counted from 0` : ", counted from 0";
    const draw = options.n > 1 ? `sample ${sample.sample + 1} of ${options.n} at temperature `
      + `${options.temperature}, seed ${options.seed}` : "greedy";
    const facts = [`Bundle ${model.id} (${trained(stage)}), digest ${shortDigest(model) ?? "unknown"}`,
      `host ${host.tag}, output of block ${host.block_index}${blocks}`, draw].join(" \u00b7 ");
    this.y += 6;
    const ends = { x1: MARGIN, x2: WIDTH - MARGIN, y1: this.y, y2: this.y };
    this.parts.push(svg("line", { ...ends, stroke: COLOURS.rule }));
    this.y += 10;
    this.#paragraph(facts, { size: 11.5, leading: 16, family: SANS, fill: COLOURS.faint });
  }

  drawing({ sample, session }) {
    const height = Math.ceil(this.y + MARGIN - 8);
    const title = `${sample.explanation ?? "No explanation"} (${session.host.tag}, `
      + `FVE ${score(sample.fve_centred_train)})`;
    return svg("svg", { width: WIDTH, height, viewBox: `0 0 ${WIDTH} ${height}`, role: "img" },
      svg("title", {}, clean(title)),
      svg("rect", { width: WIDTH, height, fill: COLOURS.card }), ...this.parts);
  }

  #token(piece, font, isRtl) {
    const x = MARGIN + piece.x;
    const { width } = piece;
    if (isColoured(piece)) {
      const fill = COLOURS[`q${piece.step}`];
      this.parts.push(svg("rect", { x, y: this.y, width, height: 22, rx: 3, fill }));
    }
    if (piece.isPicked) {
      this.parts.push(svg("rect", { x, y: this.y + 20, width, height: 2.5, fill: COLOURS.ink }));
    }
    const fill = piece.isSpecial || piece.isGap ? COLOURS.faint : COLOURS.ink;
    this.#text(piece.text, isRtl ? x + piece.width : x, this.y + 15.5, { ...font, fill, isRtl });
  }

  #legend() {
    let x = MARGIN;
    const word = (text) => {
      this.#text(text, x, this.y + 14, { size: 10.5, family: SANS, fill: COLOURS.faint });
      x += this.#width(text, { size: 10.5, family: SANS }) + 6;
    };
    this.y += 4;
    word("FVE");
    STEPS.forEach((least, step) => {
      const text = step === 0 ? `< ${score(STEPS[1])}` : `\u2265 ${score(least)}`;
      const width = this.#width(text, { size: 10.5, family: SANS }) + 12;
      this.parts.push(svg("rect", { x, y: this.y + 3, width, height: 15, fill: COLOURS[`q${step}`] }));
      this.#text(text, x + 6, this.y + 14, { size: 10.5, family: SANS });
      x += width;
    });
    this.y += 22;
  }

  #ladder(fve, controls) {
    const drawn = ladder(fve, controls, WIDE);
    const [, , width, height] = drawn.getAttribute("viewBox").split(" ").map(Number);
    const size = Math.min(INNER, 1.2 * width);
    const box = { x: MARGIN, y: this.y, width: size, height: (height * size) / width };
    for (const [selector, properties] of Object.entries(LADDER)) {
      for (const one of drawn.querySelectorAll(selector)) attributed(one, properties);
    }
    for (const one of [drawn, ...drawn.querySelectorAll("[class]")]) one.removeAttribute("class");
    attributed(drawn, box);
    this.parts.push(drawn);
    this.y += box.height + 6;
  }

  /** A text in lines, each of which is one element: who shows the figure orders and joins its letters. */
  #paragraph(content, { x = MARGIN, leading, ...font }) {
    const width = WIDTH - MARGIN - x;
    const widthOf = (piece) => this.#width(piece.text, font);
    for (const { pieces, isRtl } of linesOf(piecesOf(clean(content)), width, widthOf)) {
      const ordered = [...pieces].sort((one, other) => one.place - other.place);
      const text = ordered.map((one) => one.text).join("");
      this.#text(text, isRtl ? x + width : x, this.y + font.size, { ...font, isRtl });
      this.y += leading;
    }
  }

  #text(content, x, y, { size, family, weight = null, fill = COLOURS.ink, isRtl = false }) {
    const way = isRtl ? { direction: "rtl", "unicode-bidi": "plaintext" } : {};
    this.parts.push(svg("text", { x, y, "font-size": size, "font-family": family, "font-weight": weight, fill,
      "xml:space": "preserve", ...way }, clean(content)));
  }

  #width(content, { size, family, weight = 400 }) {
    this.canvas.font = `${weight} ${size}px ${family}`;
    return this.canvas.measureText(clean(content)).width;
  }
}

function factsOf({ nmse, denominator, null_percentile, null_n }) {
  const own = `1 \u2212 NMSE ${score(nmse)} / denominator ${score(denominator)}, of one row. `;
  if (null_percentile === null) return own;
  return `${own}What the text rebuilds is nearer to the activation than to those of `
    + `${count(Math.round(null_percentile * null_n))} of ${plural(null_n, "other passage")}.`;
}

function isColoured({ step }) {
  return step !== null && step !== undefined;
}

function attributed(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, String(value));
}

function lower(text) {
  return text[0].toLowerCase() + text.slice(1);
}

function clean(content) {
  return content.replace(NO_XML, "\ufffd").replaceAll("\t", "    ");
}
