// What is said above everything where answers are recorded, and how to have a server.

import { details, el } from "./dom.js";
import { shownOf } from "./gallery.js";

const COMMANDS = "make demo    # some minutes: hosts, an AV and an AR\n"
  + "make serve   # then open http://127.0.0.1:8000";

/** Say that nothing is computed here. @param {object} recording */
export function banner({ made }) {
  const of = made.bundles.map(({ name }) => name).join(", ");
  const digests = made.bundles.map(({ name, digest }) => `${name}: ${digest ?? "no digest"}`).join("; ");
  document.getElementById("main").before(el("aside", { class: "recorded-banner", "aria-label": "Recorded" },
    el("p", { title: digests }, el("b", {}, `Recorded from ${of}, ${made.date}. `),
      "Nothing is computed here."),
    details("Explain your own text", {}, el("pre", {}, COMMANDS))));
}

/** The first example as a link shows it, where a link shows nothing. */
export function beginning(recording, fragment) {
  const [first] = recording.examples;
  return fragment.length > 1 || !first ? null : shownOf(first, first.model);
}
