// What is searched for among stored rows: as it stands in the link, and as the API is asked.

export const PAGE = 50; // rows of a page
const ALL = "all"; // of hosts or predictors, where one of them is the default

export const FIELDS = [["explanation", "explanations"], ["passage", "passages"], ["both", "both"]];
export const CLAIMS = [["all", "any or none"], ["any_false", "with a false one"], ["all_true", "all true"]];
export const ORDERS = { worst: "worst first", best: "best first", longest: "longest first",
  most_false: "most false claims first", passage: "by passage" };

/**
 * @typedef {object} Filters
 * @property {object} evaluation of /v1/evaluations
 * @property {?string} host null: all of them
 * @property {?string} predictor null: all of them
 * @property {string} search
 * @property {string} field
 * @property {string[]} facts
 * @property {string} claims
 * @property {boolean} isFailed
 * @property {?number} min
 * @property {?number} max
 * @property {?string} passage an id: its rows alone
 * @property {string} order
 * @property {number} page from 0
 */

/** What nobody chose. @returns {Filters} */
export function usual(evaluation) {
  return { evaluation, host: null, predictor: usualPredictor(evaluation), search: "", field: "explanation",
    facts: [], claims: "all", isFailed: false, min: null, max: null, passage: null, order: "worst", page: 0 };
}

/** What a link says; what it says wrongly is left as usual. @returns {Filters} */
export function filtersOf(more, evaluations, model) {
  const own = evaluations.find(({ bundle }) => bundle === model) ?? evaluations[0];
  const evaluation = evaluations.find(({ name }) => name === more.evaluation) ?? own;
  const found = usual(evaluation);
  const predictors = evaluation.predictors.map(({ name }) => name);
  return { ...found,
    host: known(more.host, evaluation.hosts.map(({ tag }) => tag), null),
    predictor: more.predictor === ALL ? null : known(more.predictor, predictors, found.predictor),
    search: more.search ?? "",
    field: known(more.field, FIELDS.map(([name]) => name), found.field),
    facts: (more.facts ?? "").split("\n").filter((fact) => isFact(fact, evaluation.kinds)),
    claims: known(more.claims, CLAIMS.map(([name]) => name), found.claims),
    isFailed: more.failed === "yes",
    min: numberOf(more.min), max: numberOf(more.max),
    passage: more.passage ?? null,
    order: known(more.order, evaluation.orders, found.order),
    page: Math.max(0, Math.floor(numberOf(more.page) ?? 1) - 1) };
}

/** The same for a link: what is as usual is left out. @param {Filters} filters */
export function moreOf(filters, model, evaluations) {
  const own = evaluations.find(({ bundle }) => bundle === model) ?? evaluations[0];
  const { evaluation } = filters;
  const first = usual(evaluation);
  const other = (name) => (filters[name] === first[name] ? null : String(filters[name]));
  return { evaluation: evaluation === own ? null : evaluation.name, host: filters.host,
    predictor: filters.predictor === null && first.predictor !== null ? ALL : other("predictor"),
    search: other("search"), field: other("field"), facts: filters.facts.join("\n"), claims: other("claims"),
    failed: filters.isFailed ? "yes" : null, min: other("min"), max: other("max"), passage: filters.passage,
    order: other("order"), page: filters.page ? String(filters.page + 1) : null };
}

/** The body of a request. @param {Filters} filters */
export function asked(filters, offset = filters.page * PAGE, limit = PAGE) {
  const { host, predictor, search, field, facts, claims, isFailed, min, max, passage, order } = filters;
  const body = { host, predictor, search: search.trim() || null, field: search.trim() ? field : null,
    facts: facts.length ? facts : null, claims: claims === "all" ? null : claims, min_fve: min, max_fve: max,
    is_failed: isFailed || null, is_same_passage: passage, order, offset, limit };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

/**
 * What narrows the rows, each with its words and the filters without it.
 * @param {Filters} filters
 * @returns {{name: string, without: Partial<Filters>}[]}
 */
export function narrowings(filters) {
  const { evaluation, host, predictor, search, facts, claims, isFailed, min, max, passage } = filters;
  const titles = Object.fromEntries(evaluation.predictors.map(({ name, title }) => [name, title]));
  return [
    search.trim() && { name: `\u201c${search.trim()}\u201d`, without: { search: "" } },
    host && { name: host, without: { host: null } },
    predictor && { name: titles[predictor], without: { predictor: null } },
    ...facts.map((fact) => ({ name: fact, without: { facts: facts.filter((one) => one !== fact) } })),
    claims !== "all" && { name: claims === "all_true" ? "all claims true" : "a false claim",
      without: { claims: "all" } },
    isFailed && { name: "failed", without: { isFailed: false } },
    (min !== null || max !== null) && { name: rangeName(min, max), without: { min: null, max: null } },
    passage && { name: `passage ${passage}`, without: { passage: null } },
  ].filter(Boolean);
}

/** A number that people wrote; null where it is none. @param {?string} text */
export function numberOf(text) {
  const number = Number(String(text ?? "").trim().replace(",", ".").replace("\u2212", "-") || NaN);
  return Number.isFinite(number) ? number : null;
}

function rangeName(min, max) {
  if (min === null) return `FVE up to ${max}`;
  return max === null ? `FVE from ${min}` : `FVE ${min} to ${max}`;
}

function usualPredictor({ predictors }) {
  // What Read shows; the other predictors are what it is judged by.
  return (predictors.find(({ name }) => name === "greedy") ?? predictors[0])?.name ?? null;
}

function isFact(fact, kinds) {
  const [kind, ...value] = fact.split("=");
  return Boolean(kinds?.[kind]?.includes(value.join("=")));
}

function known(value, names, otherwise) {
  return names.includes(value) ? value : otherwise;
}
