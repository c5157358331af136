// A dialog over the page that goes when it is closed.

import { button, el } from "./dom.js";

/** @param {string} title @param {Element} content @param {{class?: string, close?: Function}} props */
export function openDialog(title, content, { class: name = "", close = () => {} } = {}) {
  const closed = () => {
    close();
    dialog.remove();
  };
  const dialog = el("dialog", { class: `dialog keep-dialog ${name}`.trim(), "aria-label": title,
    on: { close: closed } },
  el("header", {}, el("h2", {}, title), button("Close", () => dialog.close(), { class: "small" })), content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
