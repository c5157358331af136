// Tabs of which one is open: by click, and by the arrow keys.

import { el, fill } from "./dom.js";

/**
 * @param {[string, string][]} names what each is called in code, and by people
 * @param {string} label
 * @param {(name: string) => void} turned called with the one that is to be open; it calls `draw`
 * @param {Record<string, string>} [props] of every tab
 * @returns {{element: HTMLElement, draw: (open: string) => void}}
 */
export function tabsOf(names, label, turned, props = {}) {
  const element = el("div", { class: "tabs", role: "tablist", "aria-label": label });
  const turn = (name) => {
    turned(name);
    element.querySelector("[aria-selected=true]").focus();
  };
  const key = (event, place) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    turn(names[(place + way + names.length) % names.length][0]);
  };
  const draw = (open) => fill(element, ...names.map(([name, title], place) => el("button", { type: "button",
    role: "tab", "aria-selected": String(name === open), tabindex: name === open ? 0 : -1, ...props,
    on: { click: () => turn(name), keydown: (event) => key(event, place) } }, title)));
  return { element, draw };
}
