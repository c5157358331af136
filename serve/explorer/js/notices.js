// What is said above everything: waiting for a server, a token, keys and words.

import { button, el, fill } from "./dom.js";

const KEYS = [
  ["\u2190 \u2192 \u2191 \u2193", "the next token"], ["Shift + arrow", "more tokens: their mean"],
  ["Ctrl + click", "one more token; of two, their difference"], ["t", "to the tokens"],
  ["/", "to the text, or to the search"], ["1 \u2026 4", "the views"], ["Ctrl + Enter", "read the text"],
  ["x", "in Compare: swap the sides"], ["?", "this list"],
];
const WORDS = [
  ["host", "the model whose activations are read"],
  ["AV", "the activation verbalizer: an activation becomes a text"],
  ["AR", "the activation reconstructor: the text becomes an activation again"],
  ["FVE", "how far the text brings the AR from the mean vector (0, on average) to the "
    + "activation (1): 1 \u2212 NMSE / denominator"],
  ["denominator", "the NMSE of always answering the mean of the rows that the decoder was fitted on"],
  ["nearer than", "how many activations of other passages are further from what the AR rebuilds; half is chance"],
];

/** Show, or end, that something is waited for. @param {?{reason: string, seconds: number}} why */
export function lostOrBusy(why) {
  const notices = document.getElementById("notices");
  if (why === null) return fill(notices);
  const text = `${why.reason}. Trying again in ${Math.ceil(why.seconds)} s.`;
  const shown = notices.querySelector(".wait");
  if (shown) shown.textContent = text;
  else fill(notices, el("p", { class: "notice warn wait" }, text));
}

/** Ask for the server's token. @param {boolean} isWrong @returns {Promise<string>} */
export function askedToken(isWrong) {
  askedToken.open ??= new Promise((resolve) => {
    const input = el("input", { type: "password", autocomplete: "off", required: true, "aria-label": "Token",
      pattern: "[ -~]+", title: "A token is of ASCII characters" });
    const form = el("form", { method: "dialog" },
      el("h2", {}, isWrong ? "That token is wrong" : "This server wants a token"),
      el("p", {}, "It is the value of INTERLINGUA_TOKEN where the server was started. It stays in this tab."),
      el("label", { class: "field" }, el("span", {}, "Token"), input),
      el("button", { type: "submit", value: "go", class: "primary" }, "Go on"));
    const closed = () => {
      if (!dialog.returnValue) return dialog.showModal(); // by Escape: without a token there is no way on
      askedToken.open = null;
      dialog.remove();
      return resolve(input.value.trim());
    };
    const dialog = el("dialog", { class: "dialog", "aria-label": "Token", on: { close: closed } }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
  return askedToken.open;
}

/** Keys and words. */
export function help() {
  if (document.querySelector("dialog[open]")) return;
  const list = (entries) => el("dl", { class: "help-list" },
    ...entries.map(([name, meaning]) => el("div", {}, el("dt", {}, name), el("dd", {}, meaning))));
  const props = { class: "dialog wide", "aria-label": "Keys and words", on: { close: () => dialog.remove() } };
  const dialog = el("dialog", props,
    el("h2", {}, "Keys"), list(KEYS), el("h2", {}, "Words"), list(WORDS),
    el("div", { class: "row" }, button("Close", () => dialog.close(), { class: "primary" }),
      button("Show the tour", () => toured(dialog))));
  document.body.append(dialog);
  dialog.showModal();
}

function toured(dialog) {
  dialog.close();
  dispatchEvent(new Event("tour"));
}
