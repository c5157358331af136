// What all views share: the server's bundles and evaluations, what is shown, and its link.

import { Compare } from "./compare.js";
import { fill } from "./dom.js";
import { Find } from "./find.js";
import { Gallery } from "./gallery.js";
import { UNPINNED } from "./keep_pins.js";
import { Read } from "./read.js";
import { keyOf, siteOf, spanSite, tokensIn } from "./sites.js";
import { fragmentOf } from "./state.js";

const NUM_EXAMPLES = 4;

/** The page's state; views ask it for bundle, host and text, and say what shall be in the link. */
export class App extends EventTarget {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    Object.assign(this, { api, models: [], evaluations: [], view: "read", model: null, host: null,
      prompt: null, site: null, more: {}, fragment: "", opened: null });
    this.truths = new Map(); // by text and explanation
    this.noted = new Map(); // passages by text
    this.views = { read: () => new Read(this), compare: () => new Compare(this), find: () => new Find(this),
      gallery: () => new Gallery(this) };
    if (api.isRecorded) delete this.views.find; // rows are not recorded
  }

  /** Ask what is served. */
  async load() {
    this.models = (await this.api.get("/v1/models")).data;
    this.evaluations = await this.api.get("/v1/evaluations").then(({ data }) => data, () => []);
    this.model = this.models[0];
    this.host = this.hostsOf(this.model)[0];
  }

  /** Hosts that read texts here come first. */
  hostsOf(model) {
    return [...model.interlingua.hosts].sort((one, other) => Number(other.is_here) - Number(one.is_here));
  }

  /** Show what a link says. @param {import("./state.js").Shown} shown */
  async turn(shown) {
    this.view = shown.view in this.views ? shown.view : "read";
    this.model = this.models.find(({ id }) => id === shown.model) ?? this.model ?? this.models[0];
    const hosts = this.hostsOf(this.model);
    this.host = hosts.find(({ tag }) => tag === (shown.host ?? this.host?.tag)) ?? hosts[0];
    this.prompt = shown.messages ? { messages: shown.messages } : shown.text ? { text: shown.text } : null;
    if (!this.prompt && ["read", "compare"].includes(this.view)) this.prompt = await this.#example();
    Object.assign(this, { site: shown.site, more: shown.more ?? {} });
    await this.#draw();
  }

  /** Read another text. @param {{text?: string, messages?: object[]}} prompt */
  async open(prompt) {
    Object.assign(this, { prompt, site: null });
    this.more = {};
    await this.#draw();
  }

  /** Use another bundle or host. */
  async choose({ model = this.model.id, host = this.host.tag }) {
    const before = this.host.tag;
    this.model = this.models.find(({ id }) => id === model);
    const hosts = this.hostsOf(this.model);
    this.host = hosts.find(({ tag }) => tag === host) ?? hosts[0];
    this.more = { ...this.more, ...UNPINNED };
    if (this.host.tag !== before) this.#carry();
    await this.#draw();
  }

  /** Tokens of another host are others: what is picked is found again by its characters. */
  #carry() {
    const { session } = this.opened ?? {};
    const site = session?.text ? siteOf(this.site, session.numRead) : null;
    if (site?.kind === "whole") return;
    const places = site?.kind === "difference" ? [] : tokensIn(site ?? { kind: "none" });
    const [first, last] = [places[0], places[places.length - 1]].map((at) => session?.tokens[at]);
    const span = first && last ? `${first.start}-${last.end}` : null;
    Object.assign(this, { site: null, more: { ...this.more, span } });
  }

  /** Put something into the link; what is null leaves it. */
  async keep({ site = this.site, ...more }) {
    const left = site === this.site ? {} : UNPINNED; // a comment is of one explanation
    this.more = { ...this.more, ...left, ...more };
    this.site = site;
    await this.#link();
  }

  /** Passages of the first evaluation: in the order of their hashes, so that nobody chose them. */
  async examples() {
    this.known ??= this.#passages();
    return this.known;
  }

  /**
   * Note a passage of an evaluation beside the examples, as a row has it.
   * @param {{text: string, passage_id: string, evaluation: string, position: ?number,
   *   span_end: ?number}} passage with a position: other facts hold there than of the whole
   */
  know(passage) {
    this.noted.set(passage.text, passage);
  }

  /** The passage of an evaluation that a text is; undefined where it is none that is known. */
  async passageOf(text) {
    return this.noted.get(text) ?? (await this.examples()).find((one) => one.text === text);
  }

  /** Statements of an explanation with whether they are true, where the text is one whose facts are known. */
  clausesOf(session, explanation, site = null) {
    const key = `${session.text.content}\n${explanation}\n${site && keyOf(site)}`;
    if (this.truths.has(key)) return this.truths.get(key);
    this.truths.set(key, null);
    this.#checked(session, explanation, site).then((clauses) => {
      this.truths.set(key, clauses);
      if (clauses) session.changed();
    }, () => {});
    return null;
  }

  async #checked(session, explanation, site) {
    const passage = await this.passageOf(session.text.content);
    if (!passage) return null;
    const path = `/v1/evaluations/${encodeURIComponent(passage.evaluation)}/claims`;
    const asked = { passage_id: passage.passage_id, texts: [explanation] };
    const { position, span_end: end } = passage;
    const row = Number.isInteger(end) ? spanSite(session.tokens, position, end) : null;
    if (row && site && keyOf(row) === keyOf(site)) asked.position = position;
    const answer = await this.api.post(path, asked);
    return answer.data[0].clauses;
  }

  async #passages() {
    const known = this.evaluations.find(({ has_facts }) => has_facts) ?? this.evaluations[0];
    if (!known) return [];
    const path = `/v1/evaluations/${encodeURIComponent(known.name)}/passages?limit=${NUM_EXAMPLES}`;
    const { passages } = await this.api.get(path);
    return passages.map((one) => ({ ...one, evaluation: known.name }));
  }

  async #example() {
    const [first] = await this.examples().catch(() => []);
    return first ? { text: first.text } : null;
  }

  async #draw() {
    if (this.drawn !== this.view) {
      this.opened?.hide();
      this.opened = this.views[this.view]();
      this.drawn = this.view;
      fill(document.getElementById("main"), this.opened.element);
    }
    this.dispatchEvent(new Event("change"));
    await this.opened.show();
    await this.#link();
  }

  async #link() {
    const shown = { view: this.view, text: this.prompt?.text ?? null, messages: this.prompt?.messages ?? null,
      model: this.model.id, host: this.host.tag, site: this.site, more: this.more };
    this.fragment = await fragmentOf(shown);
    const isNew = location.hash !== this.fragment;
    if (isNew) history.replaceState(null, "", this.fragment);
  }
}
