// What a click on a text picks: a sentence, the whole, or a token; first what an AV learned from.

import { sentenceSites, tokensIn, WHOLE } from "./sites.js";

const sentences = new WeakMap(); // by the tokens that a session read

export const UNIT_NAMES = { sentence: "Sentences", whole: "Whole text", token: "Tokens" };

/** The sentences that a host reads to their end. @param {import("./session.js").Session} session */
export function sentencesOf(session) {
  const { tokens } = session;
  if (!sentences.has(tokens)) {
    sentences.set(tokens, sentenceSites(session.text, tokens).filter(({ to }) => to < session.numRead));
  }
  return sentences.get(tokens);
}

/** The units of a text, first the one that is like what the AV learned from. @returns {string[]} */
export function unitsOf(session) {
  const isChat = Boolean(session.prompt.messages);
  const hasSentences = sentencesOf(session).length > 0;
  const like = { sentence: hasSentences && "sentence", pooled: !isChat && "whole" }[session.host.reads];
  if (like && session.api.isRecorded) return [like]; // of tokens nothing is recorded
  return like ? [like, "token"] : ["token"];
}

/** Every site of a unit. @returns {import("./sites.js").Site[]} */
export function sitesOf(session, unit) {
  if (unit === "sentence") return sentencesOf(session);
  return unit === "whole" ? [WHOLE] : tokenSites(session);
}

/** What is explained at once. @returns {import("./sites.js").Site} */
export function firstSite(session, unit) {
  const found = sentencesOf(session);
  if (unit === "sentence") return found[Math.min(session.host.reads_from, found.length - 1)];
  return unit === "whole" ? WHOLE : { kind: "token", at: session.numRead - 1 };
}

/** The site of what was picked in a strip; null where the host does not read it. @returns {?Site} */
export function pickedSite(session, unit, from, to) {
  if (from >= session.numRead) return null;
  const last = Math.min(to, session.numRead - 1);
  if (last - from + 1 !== session.tokens[from].fragment_count) return { kind: "mean", from, to: last };
  const sentence = unit === "sentence"
    && sentencesOf(session).find((one) => one.from <= last && last <= one.to);
  return sentence || { kind: "token", at: last };
}

/** How a strip is coloured: by what is known of the sites of a unit. */
export function shadesOf(session, unit) {
  const byToken = new Map();
  for (const site of unit === "sentence" ? sentencesOf(session) : []) {
    for (const at of tokensIn(site)) byToken.set(at, session.at(site));
  }
  return (at) => {
    const last = at + session.tokens[at].fragment_count - 1;
    const found = unit === "sentence" ? byToken.get(at) : session.at({ kind: "token", at: last });
    const sample = found?.samples[0];
    const isDone = Boolean(sample?.done);
    return { fve: isDone && sample.explanation !== null ? sample.fve_centred_train : null,
      isFailed: isDone && sample.explanation === null,
      isBusy: found?.status === "waiting" || found?.status === "streaming" };
  };
}

function tokenSites({ tokens, numRead }) {
  const isLast = ({ fragment_index, fragment_count }) => fragment_index === fragment_count - 1;
  return tokens.filter((token, at) => at < numRead && isLast(token) && token.end > token.start)
    .map(({ position }) => ({ kind: "token", at: position }));
}
