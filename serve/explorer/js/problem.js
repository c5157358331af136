// What went wrong, in the place where something else was to be.

import { button, el } from "./dom.js";

/** An error with a way on; what was not recorded is none. @param {Error} error */
export function problemOf(error, again) {
  const isRecorded = error.type === "recorded";
  return el("div", isRecorded ? { class: "notice warn" } : { class: "notice bad", role: "alert" },
    el("p", {}, error.message), error.remedy ? el("p", { class: "faint" }, error.remedy) : null,
    again && !isRecorded ? button("Try again", again) : null);
}
