// Elements of text and of other elements. Nothing here, and nobody else, writes markup: what a
// model or a user wrote is only ever text.

/**
 * An element with properties and children.
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `on` (listeners by event), `css` (variables and
 *   properties by name), `data` (data attributes); what is a function or a boolean is a property,
 *   everything else an attribute, and null is left out
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  setProps(made, props);
  made.append(...present(children));
  return made;
}

/** The same of SVG. @returns {SVGElement} */
export function svg(tag, props = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setProps(made, props);
  made.append(...present(children));
  return made;
}

/** Children that are there; numbers as text. */
export function present(children) {
  return children.flat().filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (typeof one === "number" ? String(one) : one));
}

/** Replace what an element holds. @param {Element} element */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** A button. @param {string} text @param {(event: Event) => void} act */
export function button(text, act, props = {}) {
  return el("button", { type: "button", on: { click: act }, ...props }, text);
}

/** A labelled select. @param {[string, string][]} options value and text */
export function select(label, options, value, act, props = {}) {
  const made = el("select", { on: { change: () => act(made.value) }, ...props },
    ...options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  return el("label", { class: "field" }, el("span", {}, label), made);
}

/** A disclosure that remembers nothing. @param {string} title */
export function details(title, props, ...children) {
  return el("details", props, el("summary", {}, title), ...children);
}

/** Read a message aloud to who listens. @param {string} message */
export function announce(message) {
  document.getElementById("announce").textContent = message;
}

function setProps(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "class") element.setAttribute("class", value);
    else if (name === "on") listen(element, value);
    else if (name === "css") styled(element, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (typeof value === "boolean" && !name.startsWith("aria-")) element[name] = value;
    else element.setAttribute(name, String(value));
  }
}

function listen(element, listeners) {
  for (const [event, act] of Object.entries(listeners)) element.addEventListener(event, act);
}

function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
}
