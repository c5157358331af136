// The platform's API: requests with a token, errors in one shape, streams, waiting while the server
// is busy or gone. Knows no element of the page; `on` says what people should see.

import { remember, remembered } from "./memory.js";

export const WAIT_AT_MOST_S = 120;
const AGAIN_S = 2;

/** What the server, or the way to it, refused. */
export class ApiError extends Error {
  /** @param {{status: number, type: string, message: string, field?: ?string, remedy?: string}} what */
  constructor({ status, type, message, field = null, remedy = null }) {
    super(message);
    Object.assign(this, { status, type, field, remedy });
  }
}

/** Requests to one server. */
export class Api {
  /**
   * @param {string} base address without a slash at its end
   * @param {{waiting: (why: ?{reason: string, seconds: number}) => void,
   *          token: (isWrong: boolean) => Promise<string>}} on called while something is waited for
   */
  constructor(base, on) {
    Object.assign(this, { base, on, isRecorded: false });
    this.token = remembered("token", "sessionStorage");
  }

  /** @param {string} path */
  async get(path, { signal } = {}) {
    return (await this.#asked("GET", path, null, signal)).json();
  }

  /** @param {string} path @param {object} body */
  async post(path, body, { signal } = {}) {
    return (await this.#asked("POST", path, body, signal)).json();
  }

  /**
   * Server-sent events, one after the other; the first is the opening.
   * @param {string} path @param {object} body
   * @returns {AsyncGenerator<object>}
   */
  async *stream(path, body, { signal } = {}) {
    const answer = await this.#asked("POST", path, { ...body, stream: true }, signal);
    let isWhole = false;
    for await (const data of events(answer.body)) {
      if (data === "[DONE]") {
        isWhole = true;
        continue;
      }
      const content = JSON.parse(data);
      if (content.error) throw new ApiError({ status: 200, ...content.error });
      yield content;
    }
    if (!isWhole) throw broken("The stream was cut before its end.");
  }

  async #asked(method, path, body, signal) {
    let begun = performance.now();
    for (;;) {
      const left = WAIT_AT_MOST_S - (performance.now() - begun) / 1000;
      const found = await this.#once(method, path, body, signal);
      if (found instanceof Response) return found;
      const { error, seconds, reason } = found;
      if (seconds === null || seconds > left) throw error;
      if (seconds === 0) begun = performance.now(); // who looks for a token may take long
      else await this.#waited(seconds, reason, signal);
    }
  }

  /** An answer, or an error and how long to wait before it is asked again. */
  async #once(method, path, body, signal) {
    let answer;
    const { token } = this;
    try {
      answer = await fetch(this.base + path, { method, signal, headers: this.#headers(body),
        body: body === null ? undefined : JSON.stringify(body) });
    } catch (error) {
      if (signal?.aborted || error.name === "AbortError") throw error;
      return { error: broken("The server does not answer."), seconds: AGAIN_S,
        reason: "The server does not answer" };
    }
    if (answer.ok) return answer;
    const error = await errorOf(answer);
    if (answer.status === 401 || answer.status === 403) {
      // What was sent may be an older one, of before somebody gave the right one.
      if (this.token === token) this.token = await this.on.token(answer.status === 403);
      remember("token", this.token, "sessionStorage");
      return { error, seconds: 0, reason: "" };
    }
    const isBusy = answer.status === 429;
    return { error, seconds: isBusy ? secondsOf(answer) : null, reason: "The server is busy" };
  }

  #headers(body) {
    return {
      ...(body === null ? {} : { "Content-Type": "application/json" }),
      ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}),
    };
  }

  async #waited(seconds, reason, signal) {
    try {
      for (let left = seconds; left > 0; left -= 1) {
        this.on.waiting({ reason, seconds: left });
        await slept(Math.min(1, left), signal);
      }
    } finally {
      this.on.waiting(null); // also where nobody waits any more
    }
  }
}

/** A request as curl. @param {string} origin @param {object} body */
export function curlOf(origin, path, body, hasToken) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const key = hasToken ? ` -H "Authorization: Bearer $INTERLINGUA_TOKEN"` : "";
  return `curl -s ${origin}${path}${key} -H 'Content-Type: application/json' -d '${quoted}'`;
}

/** The lines that begin with `data:`, as they come. */
async function* events(body) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of chunks(body)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}

async function* chunks(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw broken("The connection was lost in the middle of a stream.");
  } finally {
    reader.cancel().catch(() => {}); // whoever stops early stops the server's work, too
  }
}

/** After how long to ask again: a second or more, so that nobody is flooded. */
function secondsOf(answer) {
  const given = Number.parseFloat(answer.headers.get("Retry-After") ?? "");
  return Number.isFinite(given) ? Math.max(1, given) : AGAIN_S;
}

async function errorOf(answer) {
  const { error } = await answer.json().catch(() => null) ?? {};
  if (typeof error?.message === "string") return new ApiError({ status: answer.status, ...error });
  return new ApiError({ status: answer.status, type: "internal",
    message: `The server answered ${answer.status} without saying why.` });
}

function broken(message) {
  return new ApiError({ status: 0, type: "connection", message,
    remedy: "Is it still running? make serve starts it." });
}

function slept(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
