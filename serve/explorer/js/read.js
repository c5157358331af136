// Read: a text token by token, and the explanation of what is picked.

import { Composer } from "./composer.js";
import { button, el, fill } from "./dom.js";
import { learned, plural, score } from "./format.js";
import { problemOf } from "./problem.js";
import { Panel } from "./panel.js";
import { legend } from "./scale.js";
import { Session } from "./session.js";
import { keyOf, siteName, siteOf, spanSite, tokensIn } from "./sites.js";
import { Strip } from "./strip.js";
import { firstSite, pickedSite, shadesOf, sitesOf, UNIT_NAMES, unitsOf } from "./units.js";

const MOST_COLOURED = 64; // sites that are explained unasked

/** The view. One text, one host; what is picked is one site, or several tokens. */
export class Read {
  /** @param {object} app */
  constructor(app) {
    this.app = app;
    this.composer = new Composer(app, { opened: (prompt) => app.open(prompt), vector: (row) => this.#vector(row) });
    this.strip = new Strip({ picked: (from, to, isMore) => this.#picked(from, to, isMore) });
    this.tools = el("div", { class: "strip-tools" });
    this.side = el("section", { class: "side", "aria-label": "Explanations" });
    this.textCard = el("section", { class: "card text-card", "aria-label": "Text" });
    this.element = el("div", { class: "read" },
      el("div", { class: "column" }, this.composer.element, this.textCard), this.side);
    this.picked = [];
  }

  /** Open what the link shows. */
  async show() {
    const { app } = this;
    this.composer.show(app.prompt);
    if (!app.prompt) {
      fill(this.textCard, el("p", { class: "empty" }, "Pick an example or paste a text. Then pick tokens: "
        + "what the model holds there is put into words."));
      fill(this.side);
      this.session = null;
      return;
    }
    this.session?.stop();
    const session = new Session(app.api, app.model, app.host);
    this.#begun(session);
    fill(this.textCard, el("p", { class: "loading" }, "Reading the text"));
    fill(this.side);
    try {
      await session.open(app.prompt);
    } catch (error) {
      if (session === this.session) fill(this.textCard, problemOf(error, () => this.show()));
      return;
    }
    if (session === this.session) this.#opened(session);
  }

  /** End what is being drawn. */
  hide() {
    this.session?.stop();
  }

  #begun(session) {
    Object.assign(this, { session, units: ["token"], unit: "token" });
    session.addEventListener("change", () => session === this.session && this.#later());
    this.strip.show(session);
  }

  #opened(session) {
    this.strip.show(session);
    this.units = unitsOf(session);
    const wanted = siteOf(this.app.site, session.numRead) ?? this.#span();
    [this.unit] = wanted?.kind === "token" ? this.units.slice(-1) : this.units;
    fill(this.textCard, this.strip.element, this.tools, legend());
    this.#pick([wanted ?? firstSite(session, this.unit)]);
    this.#colour(this.#usual());
  }

  /** Characters that a link names, as another view knows them; null where there are none. */
  #span() {
    const [start, end] = (this.app.more.span ?? "").split("-").map(Number);
    const site = end > start ? spanSite(this.session.tokens, start, end) : null;
    if (!site || site.to >= this.session.numRead) return null;
    return site.from === site.to ? { kind: "token", at: site.to } : site;
  }

  /** The sites that are coloured unasked. */
  #usual() {
    return this.unit === "whole" ? [] : sitesOf(this.session, this.unit).slice(0, MOST_COLOURED);
  }

  #turn(unit) {
    this.unit = unit;
    this.#pick([firstSite(this.session, unit)]);
    this.#coloured();
    this.#colour(this.#usual());
  }

  async #colour(sites) {
    this.colouring = sites;
    try {
      await this.session.explain(sites);
    } catch {
      // what failed is said where it is picked
    }
    if (this.colouring === sites) this.colouring = null; // else another text is open by now
    this.#later();
  }

  #vector(vector) {
    if (!this.session) this.#begun(new Session(this.app.api, this.app.model, this.app.host));
    const name = `${vector[0]}${vector[vector.length - 1]}`;
    this.#pick([{ kind: "vector", vector, name }]);
  }

  #picked(from, to, isMore) {
    // One more is one more token, whatever a click picks else.
    const site = pickedSite(this.session, isMore ? "token" : this.unit, from, to);
    if (!site) return;
    const before = this.picked.filter(({ kind }) => kind === "token");
    const others = before.filter((one) => keyOf(one) !== keyOf(site));
    if (!isMore) this.#pick([site]);
    else if (others.length === before.length) this.#pick([...before, site]);
    else if (others.length) this.#pick(others);
  }

  #pick(sites) {
    this.picked = sites;
    const site = sites[sites.length - 1];
    this.app.keep({ site: site.kind === "vector" ? null : keyOf(site), span: null });
    const positions = new Set(sites.flatMap(tokensIn));
    this.strip.pick(positions, positions.size ? Math.max(...tokensIn(site)) : null);
    this.panel = new Panel(this.app, this.session, site);
    this.#drawSide();
    this.panel.explain();
  }

  /** Several tokens one by one: after a span was picked. */
  #apart({ from, to }) {
    const sites = Array.from({ length: to - from + 1 }, (_, n) => ({ kind: "token", at: from + n }));
    this.session.explain(sites).catch(() => {});
    this.#pick(sites);
  }

  #drawSide() {
    fill(this.side, this.#caution(), this.panel.element, this.#choices(), this.#list());
  }

  #caution() {
    const { kind } = this.picked[this.picked.length - 1];
    const { reads, tag } = this.app.host;
    const like = { pooled: "whole", sentence: "mean", last_token: "token", token: "token" }[reads];
    if (kind === like || !["token", "mean", "whole"].includes(kind)) return null;
    return el("p", { class: "faint" },
      `Of ${tag} this AV learned from ${learned(reads)}; this is another kind of vector.`);
  }

  #choices() {
    const site = this.picked[this.picked.length - 1];
    const apart = site.kind === "mean" && !this.app.api.isRecorded
      && button("Each token by itself", () => this.#apart(site), { class: "small" });
    return el("div", { class: "choices" }, apart, ...this.#differences());
  }

  #differences() {
    const pair = this.picked.length === 2 && this.picked.every(({ kind }) => kind === "token");
    if (!pair) return [];
    const [one, other] = this.picked.map(({ at }) => at);
    const made = (first, second) => ({ kind: "difference", one: first, other: second });
    return [[other, one], [one, other]].map(([first, second]) => button(
      `Explain ${siteName(made(first, second), this.session)}`,
      () => this.#pick([made(first, second)]), { class: "small" }));
  }

  #list() {
    if (this.picked.length < 2) return null;
    return el("ul", { class: "picked-list" }, ...this.picked.map((site) => {
      const sample = this.session.at(site)?.samples[0];
      return el("li", {}, el("button", { type: "button", class: "picked-item",
        on: { click: () => this.#only(site) } },
      el("span", { class: "picked-token" }, siteName(site, this.session)),
      el("span", { class: "number" }, score(sample?.fve_centred_train)),
      el("span", { class: "picked-text" }, sample?.explanation ?? sample?.text ?? "\u2026")));
    }));
  }

  #only(site) {
    this.panel = new Panel(this.app, this.session, site);
    this.#drawSide();
    this.panel.explain();
  }

  /** Draw once a frame, however many pieces of text came. */
  #later() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      if (!this.session) return; // the text was closed meanwhile
      this.#coloured();
      this.panel?.draw();
      if (this.picked.length > 1) this.#drawSide();
    });
  }

  #coloured() {
    this.strip.colour(shadesOf(this.session, this.unit));
    this.#drawTools();
  }

  #drawTools() {
    const cut = this.session.tokens.length - this.session.numRead;
    fill(this.tools, this.units.length > 1 ? this.#unitSwitch() : null, this.#extend(), this.#progress(),
      cut ? el("p", { class: "faint" }, `${this.app.host.tag} reads ${plural(this.session.maxTokens, "token")}; `
        + `${plural(cut, "token")} behind them cannot be explained.`) : null);
  }

  #unitSwitch() {
    return el("div", { class: "segments", role: "group", "aria-label": "What a click picks" },
      ...this.units.map((unit) => el("button", { type: "button", class: "small",
        "aria-pressed": String(unit === this.unit), on: { click: () => this.#turn(unit) } }, UNIT_NAMES[unit])));
  }

  /** Shift, for fingers. */
  #extend() {
    return el("button", { type: "button", class: "small extend", "aria-pressed": String(this.strip.isExtending),
      on: { click: () => {
        this.strip.isExtending = !this.strip.isExtending;
        this.#drawTools();
      } } }, "Extend to a tap");
  }

  #progress() {
    const isDone = (site) => this.session.at(site)?.status === "done";
    if (this.colouring?.length) {
      const text = `${this.colouring.filter(isDone).length} of ${this.colouring.length} explained`;
      const stop = button("Stop", () => this.session.stop(), { class: "small" });
      return el("span", { class: "faint progress" }, text, stop);
    }
    const sites = this.unit === "whole" ? [] : sitesOf(this.session, this.unit);
    const open = sites.filter((site) => !isDone(site));
    if (!open.length) return null;
    const which = open.length === sites.length ? "all" : "the other";
    return button(`Explain ${which} ${plural(open.length, this.unit)}`, () => this.#colour(open), { class: "small" });
  }
}
