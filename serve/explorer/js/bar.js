// The bar: views, bundle, host, light or dark; and keys that work everywhere.

import { button, el, fill, select } from "./dom.js";
import { learned, trained } from "./format.js";
import { remember, remembered } from "./memory.js";
import { help } from "./notices.js";

export const VIEWS = [["read", "Read"], ["compare", "Compare"], ["find", "Find"], ["gallery", "Gallery"]];

/** Draw the bar, now and whenever something else is chosen. @param {import("./app.js").App} app */
export function bar(app) {
  applied(remembered("theme"));
  const draw = () => {
    fill(document.getElementById("views"), ...VIEWS.filter(([view]) => view in app.views).map(([view, name]) =>
      el("button", { type: "button", class: "view", "aria-current": app.view === view ? "page" : null,
        on: { click: () => turned(app, view) } }, name)));
    // In Compare each side has its own.
    fill(document.getElementById("bar-source"), ...(app.view === "compare" ? [] : [
      select("Bundle", app.models.map((one) => [one.id, `${one.id} \u00b7 ${trained(one.interlingua.stage)}`]),
        app.model.id, (model) => app.choose({ model })),
      select("Host", app.hostsOf(app.model).map((one) => [one.tag, one.tag + (one.is_here ? "" : " (vectors only)")]),
        app.host.tag, (host) => app.choose({ host }), { title: `Learned from ${learned(app.host.reads)}` })]));
    fill(document.getElementById("bar-icons"),
      button("\u25d0", theme, { class: "quiet icon", "aria-label": "Light or dark", title: "Light or dark" }),
      button("?", () => help(), { class: "quiet icon", "aria-label": "Keys and words", title: "Keys and words (?)" }));
  };
  app.addEventListener("change", draw);
  draw();
}

/** Keys of the whole page. @param {import("./app.js").App} app */
export function keys(app) {
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const view = VIEWS.filter(([name]) => name in app.views)[Number(event.key) - 1];
    if (event.key === "?") help();
    else if (event.key === "/") focused(event, "input[type=search], #text");
    else if (event.key === "t") focused(event, ".strip");
    else if (view) turned(app, view[0]);
    else return;
    event.preventDefault();
  });
}

function turned(app, view) {
  app.turn({ view, text: app.prompt?.text ?? null, messages: app.prompt?.messages ?? null,
    model: app.model.id, host: app.host.tag, site: app.site, more: {} });
}

function focused(event, selector) {
  document.querySelector(selector)?.focus();
}

function theme() {
  const isDark = document.documentElement.dataset.theme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const chosen = isDark ? "light" : "dark";
  remember("theme", chosen);
  applied(chosen);
}

function applied(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}
