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
  const focus = focusOf(element);
  element.replaceChildren(...present(children));
  focus();
  return element;
}

/** Replace only what is another now: a selection, or the focus, in what stays is not lost. */
export function refill(element, ...children) {
  const made = present(children);
  const before = [...element.children];
  if (made.length !== element.childNodes.length || before.length !== made.length) return fill(element, ...made);
  const focus = focusOf(element);
  made.forEach((one, place) => before[place].isEqualNode(one) || before[place].replaceWith(one));
  focus();
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

/** Focuses again what had the focus, or what stands in its place: keys go on where they were. */
function focusOf(element) {
  const focused = document.activeElement;
  if (focused === element || !element.contains(focused)) return () => {};
  const alike = () => [...element.querySelectorAll(focused.localName)];
  const [name, place] = [nameOf(focused), alike().indexOf(focused)];
  return () => {
    if (document.activeElement !== document.body) return;
    const found = element.contains(focused) ? focused
      : alike().find((one) => nameOf(one) === name) ?? alike()[place];
    found?.focus({ preventScroll: true });
  };
}

function nameOf(element) {
  return element.getAttribute("aria-label") ?? element.id + element.textContent;
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
