// Rows as files: comma-separated or JSON, those of the page or all that fit.

import { asked } from "./find_filters.js";

export const MOST_ROWS = 5000; // of a file: more are asked of the API by a program
const PART = 200; // rows of one request
const COLUMNS = ["row", "host", "role", "predictor", "passage_id", "document_id", "position", "span_end",
  "sample", "text", "explanation", "raw_text", "fve_centred_own", "nmse", "cosine", "rank", "num_rivals",
  "is_failed",
  "num_tokens", "log_prob", "claims", "facts"];

/** Rows as comma-separated values; a list is JSON in its cell. @param {object[]} rows */
export function csvOf(rows) {
  const lines = rows.map((row) => COLUMNS.map((name) => cell(row[name])).join(","));
  return `${[COLUMNS.join(","), ...lines].join("\r\n")}\r\n`;
}

/** Rows as JSON. @param {object[]} rows @param {object} request what they were found by */
export function jsonOf(rows, request) {
  return `${JSON.stringify({ request, rows }, null, 1)}\n`;
}

/**
 * All rows that fit, at most MOST_ROWS of them.
 * @param {import("./api.js").Api} api @param {import("./find_filters.js").Filters} filters
 * @param {(done: number, total: number) => void} progress
 */
export async function allRows(api, filters, progress, signal) {
  const path = `/v1/evaluations/${encodeURIComponent(filters.evaluation.name)}/rows`;
  const rows = [];
  for (let total = Infinity; rows.length < Math.min(total, MOST_ROWS);) {
    const limit = Math.min(PART, MOST_ROWS - rows.length);
    const answer = await api.post(path, asked(filters, rows.length, limit), { signal });
    rows.push(...answer.rows);
    total = answer.total;
    if (answer.rows.length === 0) break;
    progress(rows.length, Math.min(total, MOST_ROWS));
  }
  return rows;
}

/** Hand a file to the browser. @param {string} name @param {string} content @param {string} type */
export function save(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 0);
}

function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
