// All sites of a text that are explained on both sides: buttons that explain them, and their table.

import { explainedPairs, sitesTable } from "./compare_table.js";
import { button, el, fill } from "./dom.js";
import { plural } from "./format.js";
import { problemOf } from "./problem.js";

/** The card below the panels. */
export class Sites {
  /** @param {{explain: (unit: string, pairs: object[]) => Promise<?Error>, pick: Function}} on */
  constructor(on) {
    Object.assign(this, { on, sessions: [], pairs: new Map(), explaining: null });
    this.tools = el("div", { class: "row" });
    this.problem = el("div", { class: "sites-place" });
    this.table = el("div", { class: "sites-place" });
    this.element = el("section", { class: "card compare-sites", "aria-label": "All sites" },
      el("h2", {}, "Over all sites of this text"), this.tools, this.problem, this.table);
  }

  /** @param {import("./session.js").Session[]} sessions @param {Map<string, object[]>} pairs by unit */
  use(sessions, pairs) {
    Object.assign(this, { sessions, pairs, explaining: null, drawn: null });
    fill(this.problem);
    this.draw();
  }

  /** Draw what is new. Elements stay where nothing is: a click on one that was replaced is lost. */
  draw() {
    const groups = [...this.pairs].filter(([unit]) => unit !== "whole")
      .map(([unit, pairs]) => ({ unit, pairs, found: explainedPairs(this.sessions, pairs) }));
    if (this.explaining) this.#drawProgress(groups);
    const drawn = JSON.stringify([Boolean(this.explaining), groups.map(({ found }) => found.length)]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    if (!this.explaining) fill(this.tools, ...groups.map((group) => this.#explainer(group)));
    fill(this.table, sitesTable(groups, this.sessions, { pick: this.on.pick, isWhole: !this.explaining }));
  }

  #explainer({ unit, pairs, found }) {
    const left = pairs.length - found.length;
    if (left <= 0) return null;
    const noun = unit === "token" ? "shared token" : unit;
    return button(`Explain ${found.length ? "the other" : "all"} ${plural(left, noun)} on both sides`,
      () => this.#explain(unit, pairs), { class: "small", title: unit === "token"
        ? "Tokens that both hosts cut at the same characters" : null });
  }

  async #explain(unit, pairs) {
    const explaining = (this.explaining = { unit, pairs, text: el("span", { role: "status" }) });
    const stop = button("Stop", () => this.sessions.forEach((session) => session.stop()), { class: "small" });
    fill(this.tools, el("p", { class: "faint progress" }, explaining.text, stop));
    fill(this.problem);
    this.draw();
    const error = await this.on.explain(unit, pairs);
    if (this.explaining !== explaining) return;
    this.explaining = null;
    if (error) fill(this.problem, problemOf(error));
    this.draw();
  }

  #drawProgress(groups) {
    const { unit, pairs, text } = this.explaining;
    const done = groups.find((group) => group.unit === unit)?.found.length ?? 0;
    text.textContent = `${done} of ${plural(pairs.length, unit)} explained on both sides`;
  }
}
