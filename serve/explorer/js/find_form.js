// The filters as people set them. Says what was changed, and knows no rows.

import { button, el, fill, select } from "./dom.js";
import { CLAIMS, FIELDS, narrowings, numberOf, ORDERS } from "./find_filters.js";

const TYPING_MS = 220; // without a key before it is searched
const NARROW = "(max-width: 700px)";

/** The card above the rows. */
export class FindForm {
  /** @param {object[]} evaluations @param {(change: object) => void} changed told what is new */
  constructor(evaluations, changed) {
    Object.assign(this, { evaluations, changed, timer: null });
    this.search = el("input", { type: "search", id: "search", spellcheck: "false", autocomplete: "off",
      placeholder: "Words that must all be there, or a \u201cquoted phrase\u201d", "aria-label": "Search",
      "aria-keyshortcuts": "/", dir: "auto",
      on: { input: () => this.#later(), keydown: (event) => event.key === "Enter" && this.#now() } });
    this.choices = el("div", { class: "find-choices" });
    this.summary = el("summary", {}, "Filters");
    this.more = el("details", { class: "find-more" }, this.summary, this.choices);
    const stays = { submit: (event) => event.preventDefault() };
    this.element = el("form", { class: "card find-form", role: "search", "aria-label": "Rows", on: stays },
      this.search, this.more);
    this.#opened(matchMedia(NARROW));
  }

  /** Show filters. @param {import("./find_filters.js").Filters} filters */
  show(filters) {
    // What is being typed stays: an answer may come in the middle of a word.
    if (filters.search !== this.filters?.search) this.search.value = filters.search;
    this.filters = filters;
    this.summary.textContent = `Filters (${narrowings({ ...filters, search: "" }).length})`;
    const focused = this.choices.querySelector(":focus")?.dataset.name;
    const isOpen = this.choices.querySelector(".find-facts")?.open ?? filters.facts.length > 0;
    fill(this.choices, ...this.#selects(filters), this.#range(filters), this.#failed(filters),
      this.#facts(filters, isOpen));
    if (focused) this.choices.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Forget what was typed and not searched yet. */
  stop() {
    clearTimeout(this.timer);
  }

  #selects({ evaluation, host, predictor, claims, order, field }) {
    const named = (name) => ({ data: { name } });
    const all = [["", "all"]];
    const changed = (name) => (value) => this.#change({ [name]: value || null });
    return [
      select("Search in", FIELDS, field, changed("field"), named("field")),
      this.evaluations.length > 1 ? select("Evaluation", this.evaluations.map(({ name }) => [name, name]),
        evaluation.name, (name) => this.#evaluation(name), named("evaluation")) : null,
      select("Host", [...all, ...evaluation.hosts.map(({ tag, role }) => [tag, `${tag} \u00b7 ${role}`])],
        host ?? "", changed("host"), named("host")),
      select("Texts of", [...all, ...evaluation.predictors.map(({ name, title }) => [name, title])],
        predictor ?? "", changed("predictor"), named("predictor")),
      evaluation.has_facts ? select("Claims", CLAIMS, claims, changed("claims"), named("claims")) : null,
      select("Order", evaluation.orders.filter((one) => evaluation.has_facts || one !== "most_false")
        .map((one) => [one, ORDERS[one] ?? one]), order, changed("order"), named("order")),
    ].filter(Boolean);
  }

  #evaluation(wanted) {
    this.#change({ evaluation: this.evaluations.find(({ name }) => name === wanted) });
  }

  #range({ min, max }) {
    const bound = (name, value, label, sample) => el("input", { type: "text", inputmode: "decimal",
      class: "find-number", value: value ?? "", placeholder: sample, "aria-label": label, data: { name },
      on: { change: (event) => this.#change({ [name]: numberOf(event.target.value) }) } });
    return el("span", { class: "field", role: "group", "aria-label": "FVE" }, el("span", {}, "FVE"),
      bound("min", min, "Least FVE", "from"), "\u2013", bound("max", max, "Greatest FVE", "to"));
  }

  #failed({ isFailed }) {
    const box = el("input", { type: "checkbox", checked: isFailed, data: { name: "failed" },
      on: { change: () => this.#change({ isFailed: box.checked }) } });
    return el("label", { class: "field find-check" }, box, el("span", {}, "failed only"));
  }

  #facts({ evaluation, facts }, isOpen) {
    const kinds = Object.entries(evaluation.kinds ?? {});
    if (!evaluation.has_facts || kinds.length === 0) return null;
    const toggled = (fact) => (facts.includes(fact) ? facts.filter((one) => one !== fact) : [...facts, fact]);
    return el("details", { class: "find-facts", open: isOpen },
      el("summary", {}, facts.length ? `Facts that hold (${facts.length})` : "Facts that hold"),
      el("div", { class: "find-kinds" }, ...kinds.map(([kind, values]) =>
        el("div", { class: "find-kind", role: "group", "aria-label": kind },
          el("span", { class: "faint" }, kind),
          ...values.map((value) => [`${kind}=${value}`, value]).map(([fact, value]) => button(value,
            () => this.#change({ facts: toggled(fact) }),
            { class: "fact-chip", "aria-pressed": String(facts.includes(fact)), data: { name: fact } }))))));
  }

  #later() {
    this.stop();
    this.timer = setTimeout(() => this.#now(), TYPING_MS);
  }

  #now() {
    this.stop();
    if (this.search.value !== this.filters.search) this.#change({ search: this.search.value });
  }

  #change(change) {
    // What was typed a moment ago counts, too.
    this.stop();
    this.changed({ search: this.search.value, ...change, page: 0 });
  }

  /** On a small screen the rows come first; elsewhere all filters are there. */
  #opened(narrow) {
    const set = () => (this.more.open = !narrow.matches);
    narrow.addEventListener("change", set);
    set();
  }
}
