// The request behind an explanation and its answer, as JSON, curl and Python.

import { el, fill } from "./dom.js";
import { plural, score } from "./format.js";
import { curl, PATH, python } from "./keep_code.js";
import { copyButton, fileButton } from "./keep_copy.js";
import { openDialog } from "./keep_dialog.js";
import { problemOf } from "./problem.js";
import { keyOf } from "./sites.js";
import { tabsOf } from "./tabs.js";

const OF_ONES_OWN = "http://127.0.0.1:8000"; // what was recorded has no server: make serve starts one here
const TABS = [["json", "JSON"], ["curl", "curl"], ["python", "Python"]];

/** Open the dialog, and ask again. @param {object} context of keep.js */
export async function openRaw(context) {
  const raw = new Raw(context);
  const dialog = openDialog("Raw", raw.element, { class: "raw", close: () => raw.close() });
  await raw.ask();
  return dialog;
}

class Raw {
  constructor(context) {
    Object.assign(this, { context, tab: "json", request: null, answer: null, problem: null });
    this.stopper = new AbortController();
    this.tabs = tabsOf(TABS, "Form", (tab) => this.#turn(tab), { "aria-controls": "raw-panel" });
    this.body = el("div", { class: "keep-part", role: "tabpanel", tabindex: 0, id: "raw-panel" });
    this.element = el("div", {}, this.tabs.element, this.body);
    this.#draw();
  }

  /** Stop waiting. */
  close() {
    this.stopper.abort(new DOMException("closed", "AbortError"));
  }

  /** The very request, without a stream: what it answers now stands beside what is shown. */
  async ask() {
    const { session, site, options } = this.context;
    try {
      this.problem = null;
      this.request = await session.requestOf(site, options);
      this.#draw();
      this.answer = await session.api.post(PATH, this.request, { signal: this.stopper.signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      this.problem = error;
    }
    this.#draw();
  }

  get base() {
    const { base, isRecorded } = this.context.session.api;
    return isRecorded ? OF_ONES_OWN : location.origin + base;
  }

  get hasToken() {
    return Boolean(this.context.session.api.token);
  }

  #draw() {
    this.tabs.draw(this.tab);
    this.body.setAttribute("aria-label", TABS.find(([tab]) => tab === this.tab)[1]);
    if (this.request === null) fill(this.body, this.#problem() ?? loading("Reading the vector"));
    else fill(this.body, ...(this.tab === "json" ? this.#json() : this.#code()));
  }

  #turn(tab) {
    this.tab = tab;
    this.#draw();
  }

  #json() {
    const asked = titled(`POST ${PATH}`, pretty(this.request));
    if (!this.answer) return [asked, this.#problem() ?? loading("Asking again")];
    const file = () => new Blob([pretty(this.#file())], { type: "application/json" });
    return [asked, this.#agreement(), titled("Answer", pretty(this.answer)),
      el("div", { class: "row" }, fileButton("Download JSON", `${fileName(this.context)}.json`, file))];
  }

  #code() {
    const code = { curl, python }[this.tab](this.base, this.request, this.hasToken);
    const title = { curl: "In a shell", python: "In a file; it needs nothing but Python" }[this.tab];
    return [titled(title, code), this.hasToken ? el("p", { class: "faint" },
      "The server's token is read from INTERLINGUA_TOKEN; it is not in what you copy.") : null];
  }

  #problem() {
    return this.problem && problemOf(this.problem, () => this.ask());
  }

  #agreement() {
    const { sample, session } = this.context;
    const recorded = "This answer is recorded, not asked for now.";
    if (session.api.isRecorded) return el("p", { class: "faint" }, recorded);
    const again = this.answer.data[0].explanations.find((one) => one.sample === sample.sample);
    const isSameText = again?.explanation === sample.explanation;
    const [now, shown] = [again, sample].map((one) => score(one?.fve_centred_train));
    const isSame = isSameText && now === shown;
    return el("p", { class: isSame ? "faint" : "notice warn", role: "status" }, isSame
      ? `Asked again just now: the same explanation, the same FVE (${now}).`
      : `Asked again just now, this is not what the page shows: FVE ${now} here, ${shown} there; `
        + `${isSameText ? "the same explanation" : "another explanation"}.`);
  }

  #file() {
    const { digest } = this.context.session.model.interlingua;
    return { url: this.base + PATH, digest, request: this.request, answer: this.answer };
  }
}

function titled(title, content) {
  return el("section", { class: "raw-block" }, el("header", {}, el("h3", {}, title),
    el("span", { class: "faint number" }, plural(content.length, "character")),
    copyButton("Copy", () => content, { class: "small", "aria-label": `Copy ${title}` })),
  el("pre", { tabindex: 0, dir: "ltr", "aria-label": title }, content));
}

function loading(text) {
  return el("p", { class: "loading" }, text);
}

/** A name for files of an explanation. */
export function fileName({ session, site }) {
  const parts = ["interlingua", session.model.id, session.host.tag, keyOf(site)];
  return parts.join("-").replace(/[^\w.-]+/gu, "_");
}

function pretty(value) {
  return JSON.stringify(value, null, 2);
}
