// Scores of changed texts against one activation. Of several questions only the newest is answered.

import { problemOf } from "./problem.js";
import { encoded } from "./vectors.js";

export const REST_MS = 300; // after a key, or after another token was picked

/** What asks for the FVE of texts. */
export class Scores {
  /** @param {import("./session.js").Session} session @param {import("./sites.js").Site} site */
  constructor(session, site) {
    Object.assign(this, { session, site, stopper: new AbortController() });
  }

  /**
   * The FVE of every text; null where something newer was asked, or nothing is wanted any more.
   * @param {string[]} texts @returns {Promise<?(?number)[]>}
   */
  async of(texts) {
    this.stop();
    const own = this.stopper;
    try {
      const found = await this.#asked(texts, own.signal);
      return own.signal.aborted ? null : found;
    } catch (error) {
      if (own.signal.aborted) return null;
      throw error;
    }
  }

  /** Want nothing any more. */
  stop() {
    this.stopper.abort(new DOMException("stopped", "AbortError"));
    this.stopper = new AbortController();
  }

  async #asked(texts, own) {
    const { session } = this;
    const signal = AbortSignal.any([own, session.stopper.signal]);
    const vector = await session.vectorOf(this.site);
    signal.throwIfAborted();
    const body = { ...session.asked(), explanations: texts, activations: encoded(texts.map(() => vector)) };
    const { data } = await session.api.post("/v1/score", body, { signal });
    return data.map((row) => row.fve_centred_train);
  }
}

/** Calls that wait until nothing else comes for a while. */
export class Rest {
  /** @param {() => void} act */
  later(act) {
    clearTimeout(this.timer);
    this.timer = setTimeout(act, REST_MS);
  }

  stop() {
    clearTimeout(this.timer);
  }
}

/** Why there is no score, and a way on. @param {Error} error @param {() => void} again */
export function trouble(error, again) {
  const isStopped = error.name === "AbortError";
  return problemOf(isStopped ? new Error("Stopped before it was scored.") : error, again);
}

/** Act when something of a session is new, as long as an element is part of the page. */
export function whileShown(element, session, act) {
  let wasShown = false;
  const changed = () => {
    if (element.isConnected) act();
    else if (wasShown) session.removeEventListener("change", changed);
    wasShown ||= element.isConnected;
  };
  session.addEventListener("change", changed);
}
