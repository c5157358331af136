// One host of one bundle and one text: its tokens, and what was explained of them so far. Says
// "change" when something is new; draws nothing.

import { keyOf, tokensIn } from "./sites.js";
import { Text } from "./text.js";
import { difference, encoded, mean, rowsOf } from "./vectors.js";

export const CHUNK = 16; // sites of one request: the first scores are there early
const DEFAULTS = { n: 1, temperature: 0, seed: 0 };

/**
 * @typedef {object} Sample what /v1/roundtrip answers of one text, or the text so far
 * @typedef {object} Found
 * @property {import("./sites.js").Site} site
 * @property {"waiting"|"streaming"|"done"|"failed"} status
 * @property {Sample[]} samples
 * @property {?Error} error
 */

/** What a host read of a text, and what its bundle made of it. */
export class Session extends EventTarget {
  /** @param {import("./api.js").Api} api @param {object} model of /v1/models @param {object} host */
  constructor(api, model, host) {
    super();
    Object.assign(this, { api, model, host, text: new Text(""), tokens: [], prompt: null, maxTokens: 0 });
    /** @type {Map<string, Found>} */
    this.found = new Map();
    this.vectors = new Map();
    this.controls = new Map();
    this.stopper = new AbortController();
  }

  /** Read the tokens. @param {{text?: string, messages?: object[]}} prompt */
  async open(prompt) {
    const answer = await this.api.post("/v1/tokens", { ...this.asked(), ...prompt });
    this.prompt = prompt;
    this.text = new Text(answer.data[0].text);
    this.tokens = answer.data[0].tokens;
    this.maxTokens = answer.max_tokens;
    this.changed();
  }

  /** The tokens that the host reads: what is behind them is shown and cannot be explained. */
  get numRead() {
    return Math.min(this.tokens.length, this.maxTokens);
  }

  /** The fields by which bundle and host are chosen. */
  asked() {
    return { model: this.model.id, host: this.host.tag };
  }

  /** What is known of a site. @returns {Found|undefined} */
  at(site, options = {}) {
    return this.found.get(nameOf(site, options));
  }

  /** End what is being drawn. */
  stop() {
    this.stopper.abort(new DOMException("stopped", "AbortError"));
    this.stopper = new AbortController();
  }

  /**
   * Explain sites that are not explained yet, some at a time.
   * @param {import("./sites.js").Site[]} sites
   * @param {{n?: number, temperature?: number, seed?: number}} options greedy without them
   */
  async explain(sites, options = {}) {
    const { signal } = this.stopper;
    const open = sites.filter((site) => [undefined, "failed"].includes(this.at(site, options)?.status));
    for (const site of open) this.#put({ site, status: "waiting", samples: [], error: null }, options);
    this.changed();
    for (const group of groups(open)) {
      if (signal.aborted) break;
      await this.#explained(group, options, signal);
    }
    this.#forgetWaiting(open, options);
    this.changed();
  }

  /** The activation of a site, raw. @returns {Promise<Float32Array>} */
  async vectorOf(site) {
    const key = keyOf(site);
    if (site.kind === "vector") return site.vector;
    if (!this.vectors.has(key)) this.vectors.set(key, await this.#read(site));
    return this.vectors.get(key);
  }

  /** The request whose answer is what is shown of a site. */
  async requestOf(site, options = {}) {
    const { n, temperature, seed } = { ...DEFAULTS, ...options };
    const drawn = { ...this.asked(), n, temperature, seed };
    if (site.kind === "token") return { ...drawn, ...this.prompt, positions: [site.at] };
    if (site.kind === "whole") return { ...drawn, ...this.prompt };
    return { ...drawn, activations: encoded([await this.vectorOf(site)]) };
  }

  /** What simpler systems score on a site. */
  async controlsOf(site) {
    const key = nameOf(site, {});
    if (!this.controls.has(key)) {
      const { n, temperature, ...asked } = await this.requestOf(site);
      const { signal } = this.stopper;
      // The words of a sentence, as an evaluation's control has them; of a token the server knows.
      if (site.kind === "mean") asked.passage = this.textOf(site);
      const answer = await this.api.post("/v1/controls", asked, { signal });
      this.controls.set(key, answer.data[0].controls);
    }
    return this.controls.get(key);
  }

  /** The characters of the tokens of a mean. */
  textOf({ from, to }) {
    return this.text.slice(this.tokens[from].start, this.tokens[to].end);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  async #explained(sites, options, signal) {
    const found = sites.map((site) => this.at(site, options));
    try {
      const body = await this.#request(sites, options);
      for await (const event of this.api.stream("/v1/roundtrip", body, { signal })) {
        if (event.data === undefined) this.#took(found[event.index], event);
      }
    } catch (error) {
      const isStopped = error.name === "AbortError";
      for (const one of found.filter(({ status }) => status !== "done")) {
        if (isStopped) this.found.delete(nameOf(one.site, options));
        else Object.assign(one, { status: "failed", error });
      }
      this.changed();
      if (!isStopped) throw error;
    }
  }

  async #request(sites, options) {
    const { n, temperature, seed } = { ...DEFAULTS, ...options };
    const drawn = { ...this.asked(), n, temperature, seed, rebuilt: n > 1, vector_form: "base64" };
    if (sites[0].kind === "whole") return { ...drawn, ...this.prompt };
    if (sites[0].kind === "token") {
      return { ...drawn, ...this.prompt, positions: sites.map(({ at }) => at) };
    }
    const vectors = [];
    for (const site of sites) vectors.push(await this.vectorOf(site));
    return { ...drawn, activations: encoded(vectors) };
  }

  #took(one, event) {
    const sample = event.done ? event : { sample: event.sample, text: soFar(event.text), done: false };
    one.samples[event.sample] = sample;
    const { length } = one.samples.filter((known) => known?.done);
    one.status = length === one.asked ? "done" : "streaming";
    this.changed();
  }

  async #read(site) {
    if (site.kind === "whole") return (await this.#rows(undefined))[0];
    const rows = await this.#rows(tokensIn(site));
    return site.kind === "difference" ? difference(rows[0], rows[1]) : mean(rows);
  }

  async #rows(positions) {
    const body = { ...this.asked(), ...this.prompt, vector_form: "base64" };
    const answer = await this.api.post("/v1/activations", positions ? { ...body, positions } : body);
    return rowsOf(answer.data[0].activations);
  }

  #put(found, options) {
    const asked = options.n ?? DEFAULTS.n;
    this.found.set(nameOf(found.site, options), { ...found, asked });
  }

  #forgetWaiting(sites, options) {
    for (const site of sites) {
      if (this.at(site, options)?.status === "waiting") this.found.delete(nameOf(site, options));
    }
  }
}

function nameOf(site, options) {
  const { n, temperature, seed } = { ...DEFAULTS, ...options };
  const vector = site.kind === "vector" ? site.name : "";
  return `${keyOf(site)}${vector}|${n}|${temperature}|${seed}`;
}

/** Sites that one request can be about: of one kind, and not too many. */
function groups(sites) {
  const tokens = sites.filter(({ kind }) => kind === "token");
  const wholes = sites.filter(({ kind }) => kind === "whole").map((site) => [site]);
  const others = sites.filter(({ kind }) => kind !== "token" && kind !== "whole");
  return [...wholes, ...cut(others), ...cut(tokens)];
}

function cut(sites) {
  const found = [];
  for (let at = 0; at < sites.length; at += CHUNK) found.push(sites.slice(at, at + CHUNK));
  return found;
}

/** What an explanation says so far, without its tags. */
function soFar(raw) {
  return raw.replace(/^\s*<explanation>\s*/u, "").replace(/\s*<(\/(e\w*)?)?>?$/u, "");
}
