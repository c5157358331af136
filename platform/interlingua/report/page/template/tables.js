"use strict";
// Tables as CSV and LaTeX, figures as SVG: made of what the page shows, saved without a server.
(() => {
  const SPECIAL = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}",
    ">": "\\textgreater{}", "|": "\\textbar{}",
  };

  const textOf = (cell) => cell.textContent.replace(/\s+/g, " ").trim();
  const numberOf = (cell) => cell.querySelector("data[data-value]");
  const rowsOf = (table) => [...table.rows].map((row) => [...row.cells]);

  /** The fields of one cell: a number has its full precision and, where its column has any, its limits. */
  function fieldsOf(cell, hasLimits) {
    const number = numberOf(cell);
    const text = textOf(cell);
    // A spreadsheet would take such a text for a formula.
    const safe = text === "-" ? "" : /^[=+@]/.test(text) ? "'" + text : text;
    const { value = safe, low = "", high = "" } = number ? number.dataset : {};
    return hasLimits ? [value, low, high] : [value];
  }

  const quoted = (field) => (/[",\r\n]/.test(field) ? '"' + field.replaceAll('"', '""') + '"' : field);

  /** @param {HTMLTableElement} table @returns {string} */
  function csvOf(table) {
    const [head, ...body] = rowsOf(table);
    const limits = head.map((_, column) => body.some((row) => row[column].querySelector("data[data-low]")));
    const titles = head.flatMap((cell, column) => {
      const title = textOf(cell);
      return limits[column] ? [title, title + " low", title + " high"] : [title];
    });
    const lines = body.map((row) => row.flatMap((cell, column) => fieldsOf(cell, limits[column])));
    return [titles, ...lines].map((line) => line.map(quoted).join(",") + "\r\n").join("");
  }

  const escaped = (text) =>
    text.replace(/[\\~^<>|]/g, (found) => SPECIAL[found]).replace(/(?<!\\)[&%$#_]/g, "\\$&");

  /** Text for LaTeX: what it would take for a command is escaped, a minus is one. */
  function latexOf(text) {
    const parts = text.split(/([{}])/).map((part) => (/^[{}]$/.test(part) ? "\\" + part : escaped(part)));
    return parts.join("").replace(/(?<![\w.])-(?=\d)/g, "$-$$");
  }

  function latexCell(cell) {
    const doubt = cell.querySelector(".doubt");
    const number = numberOf(cell);
    if (!number || !doubt) return latexOf(textOf(cell));
    const value = textOf(number).slice(0, -textOf(doubt).length).trim();
    return latexOf(value) + " {\\footnotesize " + latexOf(textOf(doubt)) + "}";
  }

  /** @param {HTMLTableElement} table @param {string} caption @returns {string} */
  function latexTable(table, caption) {
    const [head, ...body] = rowsOf(table);
    const isNumber = (_, column) => body.some((row) => numberOf(row[column]));
    const columns = head.map((cell, column) => (isNumber(cell, column) ? "r" : "l")).join("");
    const line = (cells) => "  " + cells.map(latexCell).join(" & ") + " \\\\";
    const lines = body.map((row) => {
      const isFirst = row[0].parentElement.classList.contains("first");
      return (isFirst ? "  \\midrule\n" : "") + line(row);
    });
    const note = "% " + caption + "\n% \\usepackage{booktabs}\n";
    const top = "\\begin{tabular}{" + columns + "}\n  \\toprule\n" + line(head) + "\n  \\midrule\n";
    return note + top + lines.join("\n") + "\n  \\bottomrule\n\\end{tabular}\n";
  }

  /** The drawing as a file of its own, in the colours of a light page. */
  function svgOf(drawing) {
    const light = [...document.styleSheets[0].cssRules].find((rule) => rule.selectorText === ":root").style;
    const copy = drawing.cloneNode(true);
    const { width, height } = drawing.viewBox.baseVal;
    copy.setAttribute("width", width + "pt");
    copy.setAttribute("height", height + "pt");
    copy.setAttribute("font-family", "sans-serif");
    const text = new XMLSerializer().serializeToString(copy);
    return text.replace(/var\((--[\w-]+)\)/g, (_, name) => light.getPropertyValue(name).trim());
  }

  function save(name, text, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function exported(button) {
    const { export: kind, name } = button.dataset;
    const figure = button.closest("figure");
    if (kind === "svg") return save(name + ".svg", svgOf(figure.querySelector("svg")), "image/svg+xml");
    const table = figure.querySelector("table");
    if (kind === "csv") return save(name + ".csv", csvOf(table), "text/csv");
    const caption = textOf(figure.querySelector("h3")) + ". " + textOf(figure.querySelector(".caption"));
    return save(name + ".tex", latexTable(table, caption), "text/x-tex");
  }

  // A table that fits needs no box that scrolls: its head then stays below the bar of the page.
  function fitting(boxes) {
    boxes.forEach((box) => box.classList.remove("fits"));
    const fits = boxes.map((box) => box.scrollWidth <= box.clientWidth);
    boxes.forEach((box, number) => box.classList.toggle("fits", fits[number]));
  }

  const boxes = [...document.querySelectorAll(".grid .scroll")];
  const again = () => fitting(boxes);
  addEventListener("resize", again);
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", again));
  again();
  document.querySelectorAll(".export, .export [hidden]").forEach((one) => { one.hidden = false; });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button[data-export]");
    if (button) exported(button);
  });
})();
