"use strict";
(() => {
  const STEP = 10;
  const data = JSON.parse(document.getElementById("explanations-data").textContent);
  const part = (name) => document.getElementById("browser-" + name);
  const [host, predictor, order, search] = ["host", "predictor", "order", "search"].map(part);
  let shown = STEP;

  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function options(select, entries) {
    const before = select.value;
    select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
    if (entries.some(([value]) => value === before)) select.value = before;
  }

  function predictorsOfHost() {
    options(predictor, data.predictors.filter(([name]) => data.rows[host.value + "|" + name]));
  }

  // Whole words only: "ruska" must not be found in a longer word.
  function marked(text, said) {
    const isTrue = new Map(said.map(([fact, holds]) => [fact.split("=")[1].toLowerCase(), holds]));
    const values = [...isTrue.keys()].filter(Boolean).sort((a, b) => b.length - a.length);
    const made = element("p", "said");
    if (!values.length) {
      made.textContent = text;
      return made;
    }
    const quoted = values.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp("(?<![\\p{L}\\p{N}])(" + quoted.join("|") + ")(?![\\p{L}\\p{N}])", "giu");
    text.split(pattern).forEach((piece, index) => {
      if (index % 2 === 0) made.append(piece);
      else made.append(element("mark", isTrue.get(piece.toLowerCase()) ? "good" : "bad", piece));
    });
    return made;
  }

  function facts(entries, className) {
    const made = element("div", "facts");
    entries.forEach(([fact, holds]) => {
      made.append(element("span", "fact " + (className || (holds ? "good" : "bad")), fact.replace("=", " ")));
    });
    return made;
  }

  function passage(row) {
    const text = data.passages[row.passage];
    if (row.end < 0) return element("p", "passage", text);
    const characters = Array.from(text); // as Python counts them
    const part = (from, to) => characters.slice(from, to).join("");
    const made = element("p", "passage", part(0, row.position));
    made.append(element("mark", "read", part(row.position, row.end)), part(row.end));
    return made;
  }

  function score(row) {
    const made = element("data", "number", row.fve === null ? "no fve" : "row fve " + row.fve.toFixed(2));
    if (row.fve !== null) {
      const place = [row.passage, row.position, row.sample].join(":");
      made.dataset.metric = [host.value, predictor.value, "row_fve:" + place, "row"].join("|");
      made.dataset.value = row.fve;
    }
    return made;
  }

  function card(row) {
    const made = element("article", "explained");
    const head = element("header", "");
    const where = row.end >= 0 ? "one sentence" : row.position < 0 ? "whole passage" : "token " + row.position;
    head.append(element("span", "", where + (row.sample > 0 ? ", sample " + (row.sample + 1) : "")), score(row));
    made.append(head, marked(row.text, row.said));
    if (row.failed) made.append(element("p", "failed", "No explanation between tags; this is the raw text."));
    if (row.said.length) made.append(facts(row.said));
    made.append(passage(row));
    const true_ = (row.true || data.facts[row.passage] || []).map((fact) => [fact, true]);
    if (true_.length) made.append(facts(true_, "true"));
    return made;
  }

  function found() {
    const words = search.value.trim().toLowerCase();
    const rows = (data.rows[host.value + "|" + predictor.value] || []).filter((row) =>
      [row.text, data.passages[row.passage], row.said.map(([fact]) => fact).join(" ")]
        .join(" ").toLowerCase().includes(words));
    const sign = { recorded: 0, best: -1, worst: 1 }[order.value];
    return sign ? [...rows].sort((a, b) => sign * ((a.fve ?? -9) - (b.fve ?? -9))) : rows;
  }

  function show() {
    const rows = found();
    const total = data.totals[host.value + "|" + predictor.value] || 0;
    part("rows").replaceChildren(...rows.slice(0, shown).map(card));
    part("count").textContent =
      "Showing " + Math.min(shown, rows.length) + " of " + rows.length + " (sample of " + total + ")";
    part("more").hidden = rows.length <= shown;
  }

  function again() {
    shown = STEP;
    show();
  }

  options(host, data.hosts.map((name) => [name, name]));
  predictorsOfHost();
  host.addEventListener("change", () => { predictorsOfHost(); again(); });
  predictor.addEventListener("change", again);
  order.addEventListener("change", again);
  search.addEventListener("input", again);
  part("more").addEventListener("click", () => { shown += STEP; show(); });
  document.getElementById("browser-controls").addEventListener("submit", (event) => event.preventDefault());
  show();
})();
