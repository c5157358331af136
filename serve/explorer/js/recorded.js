// Answers that were recorded, in place of a server: the same calls as api.js has.

import { ApiError } from "./api.js";
import { askedKey, singles } from "./recorded_keys.js";

const STEP_MS = 45; // between two parts of a text that is shown as if it were drawn now
const STEPS = 4; // parts of a text
const REMEDY = "make demo makes the bundles; make serve starts a server of them.";
const FORMAT = "interlingua gallery 1";

/** Requests to a recording. */
export class RecordedApi {
  /** @param {object} recording what jobs.gallery wrote */
  constructor(recording) {
    Object.assign(this, { base: "", token: null, isRecorded: true, recording });
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** @param {string} path */
  async get(path) {
    return this.#answer("GET", path, null);
  }

  /** @param {string} path @param {object} body */
  async post(path, body) {
    return joined(singles(path, body).map((one) => this.#answer("POST", path, one)));
  }

  /** Events as a server would send them: what is not recorded ends the stream. */
  async *stream(path, body, { signal } = {}) {
    const asked = singles(path, body);
    const n = body.n ?? 1;
    const data = asked.map((_, index) => ({ index }));
    yield { model: body.model, host: body.host, total: n * asked.length, data };
    let missing = null;
    for (const [index, one] of asked.entries()) {
      const key = askedKey("POST", path, one);
      if (!(key in this.recording.answers)) missing ??= unknown();
      else yield* this.#drawn(index, unpacked(this.recording.answers[key]).data[0].explanations, signal);
    }
    if (missing) throw missing;
  }

  /** The texts of one row, side by side, part by part. */
  async *#drawn(index, samples, signal) {
    for (let step = 1; step < STEPS && !this.isStill; step += 1) {
      for (const { sample, raw_text: text } of samples) {
        yield { index, sample, text: text.slice(0, Math.round((text.length * step) / STEPS)), done: false };
      }
      await paused(STEP_MS, signal);
    }
    signal?.throwIfAborted();
    for (const one of samples) yield { index, done: true, ...one };
  }

  #answer(method, path, body) {
    const key = askedKey(method, path, body);
    if (!(key in this.recording.answers)) throw unknown();
    return unpacked(this.recording.answers[key]);
  }
}

/** The recording in this page's own file, or null. @returns {?object} */
export function embedded() {
  const element = document.getElementById("recorded");
  return element ? checked(JSON.parse(element.textContent)) : null;
}

/** The recording beside this page; null where there is none. @returns {Promise<?object>} */
export async function fetched() {
  fetched.asked ??= fetch("gallery/demo.json").then(async (answer) =>
    (answer.ok ? checked(await answer.json()) : null)).catch(() => null);
  return fetched.asked;
}

/** Columns as rows again: many objects of one shape are recorded by field. */
export function unpacked(value) {
  if (Array.isArray(value)) return value.map(unpacked);
  if (value === null || typeof value !== "object") return value;
  if ("$rows" in value) {
    const { $rows: length, $same: same, $each: each } = value;
    return Array.from({ length }, (_, row) => ({ ...unpacked(same),
      ...Object.fromEntries(Object.entries(each).map(([name, column]) => [name, unpacked(column[row])])) }));
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, unpacked(one)]));
}

/** Answers about one row each as one about all of them. */
function joined(answers) {
  if (answers.length === 1) return answers[0];
  const data = answers.flatMap((one, index) => one.data.map((row) => ({ ...row, index })));
  return { ...answers[0], data };
}

function checked(recording) {
  if (recording.format === FORMAT) return { ...recording, examples: unpacked(recording.examples) };
  throw new Error(`This recording is "${recording.format}"; this page reads "${FORMAT}".`);
}

function unknown() {
  const message = "Recorded: this needs a server.";
  return new ApiError({ status: 0, type: "recorded", message, remedy: REMEDY });
}

function paused(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
