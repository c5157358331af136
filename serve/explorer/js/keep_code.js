// A request as people send it again: what is shown on the page comes of nothing else.

import { curlOf } from "./api.js";

export const PATH = "/v1/roundtrip";

/** @param {string} base address of the server @param {object} body @param {boolean} hasToken */
export function curl(base, body, hasToken) {
  return curlOf(base, PATH, body, hasToken);
}

/** A program that needs nothing but Python. The token is never in it. */
export function python(base, body, hasToken) {
  const lines = [
    "import json",
    hasToken ? "import os" : null,
    "import urllib.request",
    "",
    `asked = ${literal(body, "")}`,
    `headers = {"Content-Type": "application/json"}`,
    hasToken ? `headers["Authorization"] = "Bearer " + os.environ["INTERLINGUA_TOKEN"]` : null,
    `url = ${literal(base + PATH)}`,
    "request = urllib.request.Request(url, json.dumps(asked).encode(), headers)",
    "with urllib.request.urlopen(request) as answer:",
    "    rows = json.load(answer)[\"data\"]",
    "for row in rows:",
    "    for one in row[\"explanations\"]:",
    "        print(one[\"fve_centred_train\"], one[\"nmse\"], one[\"explanation\"])",
  ];
  return `${lines.filter((line) => line !== null).join("\n")}\n`;
}

/** A value of JSON as Python writes it. A string of JSON is one of Python. */
export function literal(value, indent = null) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((one) => literal(one)).join(", ")}]`;
  const entries = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${literal(one)}`);
  if (indent === null) return `{${entries.join(", ")}}`;
  return `{\n${entries.map((one) => `${indent}    ${one},\n`).join("")}${indent}}`;
}
