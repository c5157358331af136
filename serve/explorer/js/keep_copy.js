// Out of the page: to the clipboard, or into a file. Both say what became of it.

import { announce, button, el } from "./dom.js";

const SHOWN_MS = 1600;

/** A button that copies. @param {string} name @param {() => string} contentOf */
export function copyButton(name, contentOf, props = {}) {
  const made = button(name, async () => {
    const isDone = await isCopied(contentOf(), made.parentElement);
    answered(made, name, isDone ? "Copied" : "Not copied: select it");
  }, props);
  return made;
}

/** A button that makes a file. @param {string} name @param {() => Promise<Blob>|Blob} contentOf */
export function fileButton(name, fileName, contentOf, props = {}) {
  const made = button(name, async () => {
    download(fileName, await contentOf());
    answered(made, name, "Downloaded");
  }, props);
  return made;
}

/** Hand a file to the browser. @param {string} fileName @param {Blob} blob */
export function download(fileName, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: fileName });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after the click
}

/** Say on a button what its click did, for a moment. */
export function answered(made, name, what) {
  clearTimeout(made.until);
  made.textContent = what;
  announce(what);
  made.until = setTimeout(() => (made.textContent = name), SHOWN_MS);
}

/** Whether a text is in the clipboard now. @param {Element} near of the dialog that is open, if one is */
async function isCopied(content, near) {
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    return isCopiedByCommand(content, near); // over plain http there is no navigator.clipboard
  }
}

function isCopiedByCommand(content, near) {
  const before = document.activeElement;
  const area = el("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: -1 });
  area.value = content;
  near.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  before?.focus();
  return isDone;
}
