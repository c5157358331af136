// What people take with them of an explanation: a link, the request behind it, a figure.

import { el, fill } from "./dom.js";
import { openFigure } from "./figure.js";
import { LinkEditor } from "./keep_link.js";
import { openRaw } from "./keep_raw.js";

export { pinned, UNPINNED } from "./keep_pins.js";

/**
 * The tools below an explanation.
 * @param {{app: object, session: import("./session.js").Session, site: import("./sites.js").Site,
 *   found: import("./session.js").Found, sample: object, options: object}} context of the panel
 */
export function keep(context) {
  const below = el("div", { class: "keep-below" });
  const hasLink = context.site.kind !== "vector";
  const link = tool("Link", "A link to this, with a highlight and a note",
    () => turned(link, below, context));
  link.disabled = !hasLink;
  if (hasLink) link.setAttribute("aria-expanded", "false");
  else link.title = "A link has a text; this vector has none. Raw has the vector.";
  return el("section", { class: "keep", "aria-label": "Keep" },
    el("div", { class: "keep-tools", role: "group", "aria-label": "Keep this explanation" },
      link,
      tool("Raw", "The request and its answer: JSON, curl, Python", () => openRaw(context)),
      tool("Figure", "A figure of this for a paper", () => openFigure(context))),
    below);
}

function turned(link, below, context) {
  const isOpen = link.getAttribute("aria-expanded") === "true";
  link.setAttribute("aria-expanded", String(!isOpen));
  below.editor?.close();
  below.editor = isOpen ? null : new LinkEditor(context);
  fill(below, below.editor?.element);
}

function tool(name, title, act) {
  return el("button", { type: "button", class: "small", title, on: { click: act } }, name);
}
