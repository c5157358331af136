// What is shown, as a link: everything stands behind the #, which no browser sends to a server.

/**
 * @typedef {object} Shown
 * @property {string} view read | compare | find | gallery
 * @property {?string} text
 * @property {?{role: string, content: string}[]} messages
 * @property {?string} model
 * @property {?string} host
 * @property {?string} site whole, a token "12", a span of tokens "3-7", a difference "3:7"
 * @property {Record<string, string>} more whatever a view wants to keep: samples, comment, filters
 */

const LONG = 600; // characters beyond which a text is packed
const OWN = { view: "v", text: "t", messages: "m", model: "b", host: "h", site: "s" };

/** The part of a link behind its #. @param {Shown} shown */
export async function fragmentOf(shown) {
  const found = new URLSearchParams();
  for (const [name, key] of Object.entries(OWN)) {
    const value = shown[name];
    if (value === null || value === undefined || value === "") continue;
    await put(found, key, name === "messages" ? JSON.stringify(value) : String(value));
  }
  for (const [key, value] of Object.entries(shown.more ?? {})) {
    if (value !== null && value !== undefined && value !== "") await put(found, `x.${key}`, value);
  }
  return `#${found}`;
}

/** What a link shows. @param {string} fragment @returns {Promise<Shown>} */
export async function shownBy(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const shown = { view: "read", text: null, messages: null, model: null, host: null, site: null, more: {} };
  for (const [name, key] of Object.entries(OWN)) {
    const value = await take(given, key);
    if (value !== null) shown[name] = name === "messages" ? messagesOf(value) : value;
  }
  for (const key of new Set([...given.keys()].map((one) => one.replace(/\.z$/, "")))) {
    if (key.startsWith("x.")) shown.more[key.slice(2)] = await take(given, key);
  }
  return shown;
}

async function put(found, key, value) {
  if (value.length > LONG) found.set(`${key}.z`, await packed(value));
  else found.set(key, value);
}

async function take(given, key) {
  if (given.has(key)) return given.get(key);
  return given.has(`${key}.z`) ? unpacked(given.get(`${key}.z`)) : null;
}

function messagesOf(value) {
  try {
    const found = JSON.parse(value);
    const isRight = Array.isArray(found) && found.every((one) => typeof one?.role === "string"
      && typeof one?.content === "string");
    return isRight ? found : null;
  } catch {
    return null; // a link that was cut: the rest of it is shown
  }
}

async function packed(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function unpacked(given) {
  try {
    const binary = atob(given.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return await new Response(stream).text();
  } catch {
    return null;
  }
}
