// Compare: one text through two systems, side by side.

import { Between } from "./compare_between.js";
import { counterpart, pairsOf } from "./compare_pairs.js";
import { badge, Side } from "./compare_side.js";
import { Sites } from "./compare_sites.js";
import { Composer } from "./composer.js";
import { announce, button, el, fill } from "./dom.js";
import { Panel } from "./panel.js";
import { legend } from "./scale.js";
import { Session } from "./session.js";
import { keyOf, siteOf } from "./sites.js";
import { firstSite, pickedSite, sentencesOf, UNIT_NAMES, unitsOf } from "./units.js";

const MOST_SESSIONS = 8; // of systems that were chosen before: what they explained is not lost
const LETTERS = ["A", "B"];

/** The view. Side A is the page's bundle and host, side B is in the link. */
export class Compare {
  /** @param {object} app */
  constructor(app) {
    this.app = app;
    this.composer = new Composer(app, { opened: (prompt) => this.#open(prompt) });
    this.sides = LETTERS.map((letter, side) => new Side(app, letter, {
      chosen: (system) => this.#choose(side, system), picked: (from, to) => this.#picked(side, from, to) }));
    this.between = new Between();
    this.tools = el("div", { class: "strip-tools" });
    this.pair = el("div", { class: "pair-panels" });
    this.sites = new Sites({ explain: (unit, pairs) => this.#explain(unit, pairs),
      pick: (sites) => this.#pick(sites) });
    this.body = el("div", { class: "compare-body" });
    this.element = el("div", { class: "compare" }, this.composer.element, this.body);
    this.sessions = new Map();
    this.listens = (event) => this.#key(event);
  }

  /** Open what the link shows. */
  async show() {
    const { app } = this;
    const round = (this.round = {}); // what was asked before is drawn no more
    document.removeEventListener("keydown", this.listens);
    document.addEventListener("keydown", this.listens);
    this.composer.show(app.prompt);
    const other = this.#other();
    const lack = !other ? "There is one bundle with one host here: nothing to compare it with."
      : !app.prompt ? "Pick an example or paste a text: two systems read it." : null;
    if (lack) return fill(this.body, el("p", { class: "empty" }, lack));
    this.#use([{ model: app.model, host: app.host }, other]);
    fill(this.tools);
    fill(this.body, this.#frame());
    const isOpen = await Promise.all(this.sides.map((side) => side.open(app.prompt, () => this.show())));
    if (round === this.round && isOpen.every(Boolean)) this.#opened();
    return null;
  }

  /** End what is being drawn. */
  hide() {
    this.round = null;
    document.removeEventListener("keydown", this.listens);
    this.between.stop();
    for (const session of this.sessions.values()) session.stop();
  }

  get both() {
    return this.sides.map(({ session }) => session);
  }

  #open(prompt) {
    const { model, host, more } = this.app;
    this.app.turn({ view: "compare", ...prompt, model: model.id, host: host.tag, site: null,
      more: { model: more.model, host: more.host, n: more.n } });
  }

  /** The other system: of the link, or else the same host in another bundle, or another host. */
  #other() {
    const { app } = this;
    const { model: id, host: tag } = app.more;
    const model = app.models.find((one) => one.id === id);
    const hosts = model && app.hostsOf(model);
    if (model) return { model, host: hosts.find((one) => one.tag === tag) ?? hosts[0] };
    const models = [app.model, ...app.models.filter((one) => one !== app.model)];
    const all = models.flatMap((one) => app.hostsOf(one).map((host) => ({ model: one, host })))
      .filter(({ host }) => host !== app.host && host.is_here);
    return all.find(({ host }) => host.tag === app.host.tag) ?? all[0] ?? null;
  }

  #use(systems) {
    const prompt = JSON.stringify(this.app.prompt);
    systems.forEach(({ model, host }, side) => {
      const key = `${model.id}\n${host.tag}\n${prompt}`;
      const session = this.sessions.get(key) ?? this.#session(model, host);
      this.sessions.delete(key);
      this.sessions.set(key, session); // the one that was used last is the last
      this.sides[side].use(session);
    });
    for (const session of this.sessions.values()) if (!this.both.includes(session)) session.stop();
    for (const key of [...this.sessions.keys()].slice(0, -MOST_SESSIONS)) this.sessions.delete(key);
  }

  #session(model, host) {
    const session = new Session(this.app.api, model, host);
    session.addEventListener("change", () => this.both.includes(session) && this.#later());
    return session;
  }

  #choose(side, { model, host }) {
    const { app } = this;
    if (side === 0) return app.choose({ model, host });
    app.keep({ model, host, at: null });
    return this.show();
  }

  #swap() {
    const { app } = this;
    const [one, other] = this.both;
    const [, site] = this.picked ?? [];
    app.turn({ view: "compare", ...app.prompt, model: other.model.id, host: other.host.tag,
      site: site ? keyOf(site) : null,
      more: { ...app.more, model: one.model.id, host: one.host.tag, at: app.site } });
    announce("The sides are swapped");
  }

  #key(event) {
    const isTyping = event.target.closest?.("input, textarea, select, dialog");
    if (isTyping || event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
    this.#swap();
  }

  #frame() {
    const [one, other] = this.both;
    const swap = button("\u21c4", () => this.#swap(),
      { class: "icon swap", "aria-label": "Swap the sides", title: "Swap the sides (x)" });
    const middle = el("div", { class: "compare-middle" }, swap, this.tools, legend());
    return el("div", { class: "compare-sides" }, this.sides[0].element, middle, this.sides[1].element,
      one === other ? el("p", { class: "notice warn" }, "Both sides are the same system.") : null);
  }

  #opened() {
    const [one, other] = this.both;
    this.pairs = new Map(sharedUnits(one, other).map((unit) => [unit, pairsOf(one, other, unit)]));
    this.units = [...this.pairs.keys()];
    fill(this.body, this.#frame(), this.pair, this.sites.element);
    this.sites.use(this.both, this.pairs);
    const wanted = [siteOf(this.app.site, one.numRead), siteOf(this.app.more.at, other.numRead)];
    [this.unit] = wanted.some((site) => site?.kind === "token") ? ["token"] : this.units;
    if (wanted.some(Boolean)) this.#pick(this.#completed(wanted));
    else this.#pickFirst();
  }

  #pickFirst() {
    const [one, other] = this.both;
    const site = firstSite(one, this.unit);
    this.#pick([site, counterpart(site, one, other)]);
  }

  #completed([site, there]) {
    const [one, other] = this.both;
    return [site ?? counterpart(there, other, one), there ?? counterpart(site, one, other)];
  }

  #picked(side, from, to) {
    const site = pickedSite(this.both[side], this.unit, from, to);
    if (!site) return;
    const there = counterpart(site, this.both[side], this.both[1 - side]);
    this.#pick(side === 0 ? [site, there] : [there, site]);
  }

  #pick(sites) {
    this.picked = sites;
    const [one, other] = sites.map((site) => site && keyOf(site));
    this.app.keep({ site: one, at: other });
    this.sides.forEach((side, place) => side.pick(sites[place]));
    this.#drawTools();
    this.#drawPanels();
    this.#later();
  }

  #drawPanels() {
    this.between.clear();
    this.panels = this.picked.map((site, side) => site && new Panel(this.app, this.both[side], site));
    const parts = this.panels.map((panel, side) => el("div", { class: `pair-side pair-${LETTERS[side]}` },
      badge(LETTERS[side]), panel ? panel.element : this.#nothing(side)));
    fill(this.pair, ...parts, this.between.element);
    for (const panel of this.panels) panel?.explain();
    this.#drawBetween();
  }

  #nothing(side) {
    return el("p", { class: "panel faint" }, `${this.both[side].host.tag} reads nothing there: no token of `
      + `${LETTERS[side]} has these characters, or they are behind what it reads.`);
  }

  #drawBetween() {
    const isBoth = this.panels.every(Boolean);
    if (!isBoth) return this.between.clear("Only one side reads this: there is no difference.");
    const ends = this.panels.map(({ session, site, found, sample }) =>
      ({ session, site, sample: found?.samples[sample] }));
    return this.between.draw(ends);
  }

  /** Draw once a frame, however many pieces of text came. */
  #later() {
    if (this.isDue || !this.round) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      if (!this.panels || !this.sides.every(({ isOpen }) => isOpen)) return;
      if (this.#isCountChanged()) return this.#drawPanels();
      for (const side of this.sides) side.colour(this.unit);
      for (const panel of this.panels) panel?.draw();
      this.#drawBetween();
      this.sites.draw();
    });
  }

  /** Both sides have as many texts: who asks for more on one side asks on both. */
  #isCountChanged() {
    return this.panels.some((panel) => panel && panel.count !== Number(this.app.more.n ?? 1));
  }

  #drawTools() {
    const segment = (unit) => el("button", { type: "button", class: "small",
      "aria-pressed": String(unit === this.unit), on: { click: () => this.#turn(unit) } }, UNIT_NAMES[unit]);
    fill(this.tools, this.units.length < 2 ? null : el("div", { class: "segments", role: "group",
      "aria-label": "What a click picks" }, ...this.units.map(segment)));
  }

  #turn(unit) {
    this.unit = unit;
    this.#pickFirst();
    this.tools.querySelector("[aria-pressed=true]")?.focus();
  }

  /** Explain all of a unit on both sides. Resolves to what failed, or null. @returns {Promise<?Error>} */
  async #explain(unit, pairs) {
    this.unit = unit; // what is picked stays: the text is coloured by what comes
    this.#drawTools();
    const asked = this.both.map((session, side) => session.explain(pairs.map((sites) => sites[side])));
    const failed = (await Promise.allSettled(asked)).find(({ status }) => status === "rejected");
    return failed?.reason ?? null;
  }
}

/** What a click picks on both sides: first what is like that which an AV learned from. */
function sharedUnits(one, other) {
  const hasSentences = [one, other].every((session) => sentencesOf(session).length > 0);
  const units = [...unitsOf(one), ...unitsOf(other)].filter((unit) => unit !== "sentence" || hasSentences);
  const shared = [...new Set(units.filter((unit) => unit !== "token"))];
  return shared.length && one.api.isRecorded ? shared : [...shared, "token"];
}
