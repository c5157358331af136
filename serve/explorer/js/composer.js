// Where a text comes from: an example, something pasted, a chat, or a vector without a text.

import { button, el, fill } from "./dom.js";
import { tabsOf } from "./tabs.js";
import { excerpt } from "./text.js";
import { pasted } from "./vectors.js";

const ROLES = ["system", "user", "assistant"];
const KINDS = [["text", "Text"], ["chat", "Chat"], ["vector", "Vector"]];

/** The card above the text. */
export class Composer {
  /** @param {object} app @param {{opened: Function, vector?: Function}} on without `vector` there are texts alone */
  constructor(app, on) {
    Object.assign(this, { app, on, kind: "text", isOpen: true });
    const kinds = KINDS.filter(([kind]) => kind !== "vector" || on.vector);
    this.tabs = tabsOf(kinds, "Kind of input", (kind) => this.#turn(kind));
    this.body = el("div", { class: "composer-body" });
    this.examples = el("div", { class: "examples" });
    this.element = el("section", { class: "composer", "aria-label": "Input" });
    this.messages = [{ role: "user", content: "" }];
    this.text = "";
  }

  /** Show a text or chat, folded; or nothing yet. @param {?{text?: string, messages?: object[]}} prompt */
  show(prompt) {
    this.isOpen = !prompt;
    const messages = prompt?.messages?.map((one) => ({ ...one }));
    if (messages) Object.assign(this, { kind: "chat", messages });
    else if (prompt) Object.assign(this, { kind: "text", text: prompt.text });
    this.#draw();
    this.#drawExamples();
  }

  #draw() {
    const folded = button("Another text", () => this.#opened(), { class: "small", "aria-expanded": "false" });
    this.element.classList.toggle("card", this.isOpen);
    const close = this.app.prompt ? button("Close", () => this.show(this.app.prompt), { class: "small quiet" }) : null;
    fill(this.element, ...(this.isOpen ? [el("div", { class: "row top" }, this.tabs.element, close),
      this.body, this.examples]
      : [el("div", { class: "row folded" }, folded, this.examples)]));
    this.tabs.draw(this.kind);
    const drawn = { text: () => this.#text(), chat: () => this.#chat(), vector: () => this.#vector() };
    fill(this.body, ...drawn[this.kind]());
  }

  #opened() {
    this.isOpen = true;
    this.#draw();
    const area = this.body.querySelector("textarea");
    area.focus();
    area.select();
  }

  #turn(kind) {
    this.kind = kind;
    this.#draw();
  }

  #text() {
    const area = el("textarea", { id: "text", rows: 3, dir: "auto", spellcheck: "false",
      "aria-label": "Text", placeholder: "Paste a text that the model shall read",
      on: { keydown: (event) => this.#submitted(event), input: () => (this.text = area.value) } });
    area.value = this.text;
    return [area, this.#go("Read it", () => this.on.opened({ text: area.value }), () => area.value !== "")];
  }

  #chat() {
    return [
      el("ol", { class: "messages" }, ...this.messages.map((message, place) => this.#message(message, place))),
      el("div", { class: "row" },
        button("Add a message", () => {
          const last = this.messages[this.messages.length - 1]?.role;
          this.messages.push({ role: last === "user" ? "assistant" : "user", content: "" });
          this.#draw();
          this.body.querySelector("li:last-child textarea").focus();
        }, { class: "small" }),
        this.#go("Read it", () => this.on.opened({ messages: this.messages.map((one) => ({ ...one })) }),
          () => this.messages.some((one) => one.content !== ""))),
    ];
  }

  #message(message, place) {
    const area = el("textarea", { rows: 2, dir: "auto", "aria-label": `Message ${place + 1}`,
      on: { keydown: (event) => this.#submitted(event), input: () => (message.content = area.value) } });
    area.value = message.content;
    const role = el("select", { "aria-label": `Role of message ${place + 1}`,
      on: { change: () => (message.role = role.value) } },
    ...ROLES.map((name) => el("option", { value: name, selected: name === message.role }, name)));
    return el("li", {}, role, area, this.messages.length > 1
      ? button("\u00d7", () => {
        this.messages.splice(place, 1);
        this.#draw();
      }, { class: "small quiet", "aria-label": `Remove message ${place + 1}` }) : null);
  }

  #vector() {
    const problem = el("p", { class: "field-error", role: "alert" });
    const area = el("textarea", { rows: 3, spellcheck: "false", "aria-label": "Vector",
      placeholder: "[0.12, -1.3, ...] or {\"base64\": ..., \"shape\": [1, D]}" });
    const read = () => {
      const found = pasted(area.value);
      const { width, tag } = this.app.host;
      const isWrong = found.vector && found.vector.length !== width;
      problem.textContent = isWrong ? `It has ${found.vector.length} numbers; activations of ${tag} have ${width}.`
        : found.problem ?? "";
      if (found.vector && !isWrong) this.on.vector(found.vector);
    };
    return [el("p", { class: "faint" }, "An activation, an SAE's direction, a steering vector: only its "
      + "direction is read. What is unlike the activations of training is flagged."), area, problem,
    this.#go("Explain it", read, () => true)];
  }

  #go(name, act, isReady) {
    return button(name, () => (isReady() ? act() : this.body.querySelector("textarea").focus()), { class: "primary" });
  }

  #submitted(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.body.querySelector("button.primary").click();
    }
  }

  async #drawExamples() {
    const found = await this.app.examples();
    fill(this.examples, found.length ? el("span", { class: "faint" }, "Examples:") : null,
      ...found.map((one) => el("button", { type: "button", class: "example", title: one.text,
        "aria-pressed": String(this.app.prompt?.text === one.text),
        on: { click: () => this.on.opened({ text: one.text }) } }, excerpt(one.text, 44))));
  }
}
