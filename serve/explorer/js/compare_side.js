// One side of a comparison: its bundle and host, and the text as that host cuts it.

import { el, fill, select } from "./dom.js";
import { learned, plural, trained } from "./format.js";
import { shortDigest } from "./keep_hash.js";
import { problemOf } from "./problem.js";
import { tokensIn } from "./sites.js";
import { Strip } from "./strip.js";
import { shadesOf } from "./units.js";

/** The card of one side. */
export class Side {
  /** @param {object} app @param {"A"|"B"} letter @param {{chosen: Function, picked: Function}} on */
  constructor(app, letter, on) {
    Object.assign(this, { app, letter, on, session: null, isOpen: false });
    const picked = (from, to) => this.isOpen && on.picked(from, to);
    this.strip = new Strip({ picked }, `Tokens of ${letter}`);
    this.head = el("header", { class: "side-head" });
    this.body = el("div", { class: "side-body" });
    this.note = el("p", { class: "faint" });
    this.element = el("section", { class: "card compare-side", "aria-label": `Side ${letter}` },
      this.head, this.body, this.note);
  }

  /** Show which system this is. @param {import("./session.js").Session} session */
  use(session) {
    if (session !== this.session) Object.assign(this, { session, isOpen: false });
    const { app, letter } = this;
    const { model, host } = session;
    const models = app.models.map((one) => [one.id, `${one.id} \u00b7 ${trained(one.interlingua.stage)}`]);
    const hosts = app.hostsOf(model)
      .map(({ tag, is_here }) => [tag, tag + (is_here ? "" : " (vectors only)")]);
    fill(this.head, badge(letter),
      select(`Bundle of ${letter}`, models, model.id, (id) => this.on.chosen({ model: id, host: host.tag })),
      select(`Host of ${letter}`, hosts, host.tag, (tag) => this.on.chosen({ model: model.id, host: tag })),
      el("p", { class: "faint" }, factsOf(session)));
  }

  /** Read the text. Resolves to whether that went well. @param {object} prompt @param {() => void} again */
  async open(prompt, again) {
    const { session } = this;
    try {
      if (session.prompt === null) {
        fill(this.body, el("p", { class: "loading" }, "Reading the text"));
        fill(this.note);
        await session.open(prompt);
      }
    } catch (error) {
      if (session === this.session) fill(this.body, problemOf(error, again));
      return false;
    }
    if (session !== this.session) return false;
    this.strip.show(session);
    fill(this.body, this.strip.element);
    fill(this.note, cutOf(session));
    this.isOpen = true;
    return true;
  }

  /** Colour the text by what is known of it. */
  colour(unit) {
    if (this.isOpen) this.strip.colour(shadesOf(this.session, unit));
  }

  /** Mark what is picked; null where this side has nothing there. */
  pick(site) {
    const positions = new Set(site ? tokensIn(site) : []);
    this.strip.pick(positions, positions.size ? Math.max(...positions) : null);
    if (positions.size) shown(this.strip.element, this.strip.element.querySelector(".picked"));
  }
}

/** The letter of a side. */
export function badge(letter) {
  return el("span", { class: `badge side-${letter}`, "aria-hidden": "true" }, letter);
}

/** Where a host is read, in words that leave no doubt about what is counted from where. */
export function factsOf({ model, host }) {
  const { tag, block_index, num_blocks, reads } = host;
  const block = `output of block ${block_index}${num_blocks ? ` of ${num_blocks}` : ""}, counted from 0`;
  return `${tag}, ${block} \u00b7 learned from ${learned(reads)} \u00b7 ${shortDigest(model) ?? "no digest"}`;
}

function cutOf({ host, maxTokens, tokens, numRead }) {
  const cut = tokens.length - numRead;
  if (!cut) return null;
  return `${host.tag} reads ${plural(maxTokens, "token")}; ${plural(cut, "token")} behind them cannot be `
    + "explained.";
}

/** Scroll a strip, and nothing around it, until a token can be seen. */
function shown(strip, token) {
  if (!token) return;
  const [inner, outer] = [token.getBoundingClientRect(), strip.getBoundingClientRect()];
  if (inner.top < outer.top) strip.scrollTop += inner.top - outer.top - 4;
  else if (inner.bottom > outer.bottom) strip.scrollTop += inner.bottom - outer.bottom + 4;
}
