// A figure of one explanation: shown as it will be, and handed on as SVG or PNG.

import { button, el, fill } from "./dom.js";
import { figure, fileOf } from "./figure_drawing.js";
import { answered, download, fileButton } from "./keep_copy.js";
import { openDialog } from "./keep_dialog.js";
import { fileName } from "./keep_raw.js";

const PNG = "image/png";
const SCALE = 3; // pixels of a PNG for one of the drawing: sharp in print at a column's width

/** Open the dialog. @param {object} context of keep.js */
export async function openFigure(context) {
  const preview = el("div", { class: "figure-preview" },
    el("p", { class: "loading" }, "Waiting for the systems beside it"));
  const tools = el("div", { class: "row figure-tools" });
  const stopper = new AbortController();
  openDialog("Figure", el("div", { class: "keep-part" }, preview, tools),
    { class: "figure-dialog", close: () => stopper.abort() });
  // A figure without them is one, too.
  const controls = await context.session.controlsOf(context.site).catch(() => []);
  if (stopper.signal.aborted) return;
  const drawing = figure(context, controls);
  const file = new Blob([fileOf(drawing)], { type: "image/svg+xml" });
  const url = URL.createObjectURL(file);
  stopper.signal.addEventListener("abort", () => URL.revokeObjectURL(url));
  fill(preview, el("img", { src: url, width: drawing.getAttribute("width"),
    height: drawing.getAttribute("height"), alt: drawing.querySelector("title").textContent }),
  controls.length ? null : el("p", { class: "faint" },
    "Without the systems beside it: the server did not answer for them."));
  const name = fileName(context);
  fill(tools, copyPng(file, drawing, name), fileButton("Download SVG", `${name}.svg`, () => file),
    fileButton("Download PNG", `${name}.png`, () => png(file, drawing)));
}

/** A button that copies an image, or makes a file of it where a browser copies none. */
function copyPng(file, drawing, name) {
  const title = "Copy as PNG";
  const made = button(title, async () => {
    try {
      // The promise goes in, not the image: Safari copies only within the click itself.
      await navigator.clipboard.write([new ClipboardItem({ [PNG]: png(file, drawing) })]);
      answered(made, title, "Copied");
    } catch {
      download(`${name}.png`, await png(file, drawing));
      answered(made, title, "Downloaded: no image can be copied here");
    }
  }, { class: "primary" });
  return made;
}

/** A drawing in pixels. @returns {Promise<Blob>} */
async function png(file, drawing) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const [width, height] = ["width", "height"].map((name) => SCALE * Number(drawing.getAttribute(name)));
    const canvas = el("canvas", { width, height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => canvas.toBlob(resolve, PNG));
  } finally {
    URL.revokeObjectURL(url);
  }
}
