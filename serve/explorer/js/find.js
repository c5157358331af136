// Find: the stored rows of an evaluation, searched, filtered and sorted.

import { announce, button, el, fill } from "./dom.js";
import { asked, filtersOf, moreOf, narrowings, PAGE, usual } from "./find_filters.js";
import { FindForm } from "./find_form.js";
import { FoundRow } from "./find_row.js";
import { rowItem } from "./find_rows.js";
import { counts, downloads, pages } from "./find_summary.js";
import { plural } from "./format.js";
import { problemOf } from "./problem.js";

const WIDE = "(min-width: 1061px)"; // a row as a whole stands beside the list

/** The view. What is searched for stands in the link. */
export class Find {
  /** @param {object} app */
  constructor(app) {
    this.app = app;
    this.wide = matchMedia(WIDE);
    this.top = el("div", { class: "find-top" });
    this.summary = el("div", { class: "find-summary" });
    this.list = el("ol", { class: "found", "aria-label": "Rows" });
    this.below = el("div", { class: "find-below" });
    this.side = el("section", { class: "side find-side", "aria-label": "A row as a whole" });
    this.element = el("div", { class: "find" }, this.top,
      el("div", { class: "find-rows" }, this.summary, this.list, this.below), this.side);
    this.keys = (event) => this.#key(event);
    this.placed = () => this.#place();
  }

  /** Show what the link says. */
  async show() {
    const { app } = this;
    removeEventListener("keydown", this.keys);
    addEventListener("keydown", this.keys);
    this.wide.addEventListener("change", this.placed);
    if (app.evaluations.length === 0) return this.#nothing();
    this.form ??= new FindForm(app.evaluations, (change) => this.change(change));
    fill(this.top, this.form.element);
    // Whoever comes back by the bar finds what was searched for.
    const more = Object.keys(app.more).length ? app.more : app.lastFound ?? {};
    this.filters = filtersOf(more, app.evaluations, app.model.id);
    this.form.show(this.filters);
    const number = more.row === undefined ? null : Number(more.row);
    const isAsked = this.#ask();
    if (Number.isInteger(number) && number !== null) this.open(number, false);
    return isAsked;
  }

  /** End what is being asked. */
  hide() {
    this.stopper?.abort();
    this.row?.stop();
    this.form?.stop();
    removeEventListener("keydown", this.keys);
    this.wide.removeEventListener("change", this.placed);
    if (this.filters) this.app.lastFound = this.#more();
  }

  /** Search for something else. @param {Partial<import("./find_filters.js").Filters>} change */
  change(change, { focus = null } = {}) {
    const { evaluations, model } = this.app;
    // By way of the link, so that nothing is left that another evaluation does not have.
    const wanted = moreOf({ ...this.filters, ...change }, model.id, evaluations);
    this.filters = filtersOf(present(wanted), evaluations, model.id);
    this.form.show(this.filters);
    this.isStale = true; // the row that is open stays until there is another list
    return this.#ask(focus);
  }

  /** Open a row as a whole. @param {number} number */
  open(number, isFocused = true) {
    if (this.row?.number === number) return this.close();
    this.row?.stop();
    const { evaluation } = this.filters;
    const ofPassage = { ...usual(evaluation), predictor: null, order: "best" };
    this.row = new FoundRow(this.app, evaluation, number, { close: () => this.close(),
      passage: (id) => this.change({ ...ofPassage, passage: id }) });
    this.#opened();
    this.#keep();
    this.row.show();
    if (isFocused && !this.wide.matches) this.row.element.scrollIntoView({ block: "nearest" });
  }

  /** Close the row that is open. */
  close() {
    if (!this.row) return;
    const { number } = this.row;
    const hadFocus = this.row.element.contains(document.activeElement);
    this.#dropped();
    this.#opened();
    this.#keep();
    if (hadFocus) this.list.querySelector(`[data-row="${number}"] button`)?.focus();
  }

  #dropped() {
    this.row?.stop();
    this.row?.element.remove();
    Object.assign(this, { row: null, isStale: false });
  }

  async #ask(focus = null) {
    this.stopper?.abort();
    const { signal } = (this.stopper = new AbortController());
    this.#keep();
    this.element.setAttribute("aria-busy", "true");
    if (!this.answer) fill(this.list, el("li", { class: "loading" }, "Searching"));
    const path = `/v1/evaluations/${encodeURIComponent(this.filters.evaluation.name)}/rows`;
    try {
      const answer = await this.app.api.post(path, asked(this.filters), { signal });
      if (signal.aborted) return;
      this.answer = answer;
      this.#draw(focus);
    } catch (error) {
      if (signal.aborted) return;
      this.answer = null;
      fill(this.summary);
      fill(this.below);
      fill(this.list, el("li", {}, problemOf(error, () => this.#ask(focus))));
    }
    this.element.setAttribute("aria-busy", "false");
  }

  #draw(focus) {
    const { rows, total } = this.answer;
    const { evaluation, page } = this.filters;
    if (this.isStale) this.#dropped();
    const titles = Object.fromEntries(evaluation.predictors.map(({ name, title }) => [name, title]));
    fill(this.summary, ...(total ? [counts(this.answer, evaluation),
      downloads(this.app.api, this.filters, this.answer, () => this.stopper.signal)] : []));
    const items = rows.map((row) => rowItem(row, { title: titles[row.predictor] ?? row.predictor,
      isOpen: this.row?.number === row.row, open: () => this.open(row.row) }));
    fill(this.list, ...(rows.length ? items : [this.#empty()]));
    fill(this.below, total > PAGE ? pages(page, total, (to) => this.#turn(to, "first")) : null);
    this.#place();
    announce(total ? `${plural(total, "row")} fit` : "Nothing fits");
    const place = focus === "last" ? rows.length - 1 : 0;
    if (focus !== null) this.#focus(place);
    if (!this.row && rows.length && this.wide.matches) this.open(rows[place].row, false);
  }

  #empty() {
    const found = narrowings(this.filters);
    const all = { ...usual(this.filters.evaluation), predictor: null };
    return el("li", { class: "empty find-empty" }, el("p", {}, "Nothing fits."),
      el("p", { class: "row" }, ...found.map(({ name, without }) =>
        button(`Remove ${name}`, () => this.change({ ...without, page: 0 }))),
      this.filters.page > 0 ? button("To the first page", () => this.change({ page: 0 })) : null,
      found.length > 1 ? button("Remove all", () => this.change(all)) : null));
  }

  #turn(page, focus) {
    this.element.scrollIntoView({ block: "start" });
    return this.change({ page }, { focus });
  }

  /** Show which row is open, and where. */
  #opened() {
    for (const item of this.list.querySelectorAll(".found-item")) {
      item.firstChild.setAttribute("aria-expanded", String(Number(item.dataset.row) === this.row?.number));
    }
    this.#place();
  }

  /** Beside the list where there is space, else behind its line. */
  #place() {
    const hint = el("p", { class: "empty" }, "Open a row to see it whole.");
    if (!this.row) return fill(this.side, hint);
    const item = this.list.querySelector(`[data-row="${this.row.number}"]`);
    if (this.wide.matches || !item) return fill(this.side, this.row.element);
    fill(this.side);
    if (item.lastChild !== this.row.element) item.append(this.row.element);
  }

  #key(event) {
    if (event.target.closest("input, textarea, select, dialog, [contenteditable]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { j: 1, k: -1 }[event.key];
    if (event.key === "Escape" && this.row) this.close();
    else if (way && this.answer) this.#move(way);
    else return;
    event.preventDefault();
  }

  /** To the next row or the one before, of the next page where this one ends. */
  #move(way) {
    const rows = [...this.list.querySelectorAll(".found-row")];
    const from = rows.findIndex((row) => row.parentElement.contains(document.activeElement));
    const to = from < 0 ? 0 : from + way;
    const last = Math.ceil(this.answer.total / PAGE) - 1;
    if (rows[to]) this.#focus(to);
    else if (way > 0 && this.filters.page < last) this.#turn(this.filters.page + 1, "first");
    else if (way < 0 && this.filters.page > 0) this.#turn(this.filters.page - 1, "last");
  }

  #focus(place) {
    const row = this.list.querySelectorAll(".found-row")[place];
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }

  #more() {
    const { evaluations, model } = this.app;
    const row = this.row && !this.isStale ? String(this.row.number) : null;
    return { ...moreOf(this.filters, model.id, evaluations), row };
  }

  #keep() {
    return this.app.keep(this.#more());
  }

  #nothing() {
    fill(this.top, el("div", { class: "empty" }, el("p", {}, "No evaluation is served here."),
      el("p", { class: "faint" }, "A server shows those of its bundles in their run roots; others are named: "
        + "python -m serve.app BUNDLE --evaluation FOLDER")));
  }
}

function present(more) {
  return Object.fromEntries(Object.entries(more).filter(([, value]) => value !== null && value !== ""));
}
