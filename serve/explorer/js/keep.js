// A stand-in until it is written.
import { el } from "./dom.js";

export function keep() {
  return el("div");
}
