// Code in several languages that sends the form's row. Values are exact and complete.

import { Digits, isLong, stringify } from "./json.js";
import { isNested } from "./values.js";

const INDENT = "    ";

// By language, a function that returns the code for an address, a row, and whether a key is required.
export const LANGUAGES = { curl, Python: python, JavaScript: javascript, R: r };

// In a POSIX shell, only a single quote ends a quoted string.
function curl(address, row, needsKey) {
  const key = needsKey ? '  -H "Authorization: Bearer $MODELHOST_KEY" \\\n' : "";
  return `curl ${shell(address)} \\
${key}  -H 'Content-Type: application/json' \\
  --data-raw ${shell(stringify(row))}
`;
}

function python(address, row, needsKey) {
  const [imported, key] = needsKey
    ? ["import os\n\n", `${INDENT}headers={"Authorization": f"Bearer {os.environ['MODELHOST_KEY']}"},\n`]
    : ["", ""];
  return `${imported}import requests

response = requests.post(
    ${JSON.stringify(address)},
${key}    json=${pythonValue(row, INDENT)},
    timeout=30,
)
response.raise_for_status()
print(response.json())
`;
}

function javascript(address, row, needsKey) {
  const key = needsKey ? ", Authorization: `Bearer ${process.env.MODELHOST_KEY}`" : "";
  return `const response = await fetch(${JSON.stringify(address)}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${key} },
  body: ${javascriptBody(row)},
});
if (!response.ok) throw new Error(await response.text());
console.log(await response.json());
`;
}

// The row is sent as text: R does not distinguish a scalar from a list of one item.
function r(address, row, needsKey) {
  const key = needsKey ? '  req_auth_bearer_token(Sys.getenv("MODELHOST_KEY")) |>\n' : "";
  return `library(httr2)

response <- request(${rawText(address)}) |>
${key}  req_body_raw(${rawText(stringify(row, "  "))}, type = "application/json") |>
  req_perform()
resp_body_json(response)
`;
}

function shell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

// Strings and numbers are written as in JSON; constants and indentation differ.
function pythonValue(value, margin) {
  if (!isNested(value)) return pythonScalar(value);
  const deeper = `${margin}${INDENT}`;
  const parts = Array.isArray(value)
    ? value.map((item) => pythonValue(item, deeper))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${pythonValue(item, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (parts.length === 0) return open + close;
  return `${open}\n${parts.map((part) => `${deeper}${part},\n`).join("")}${margin}${close}`;
}

function pythonScalar(value) {
  if (value instanceof Digits) return value.text;
  return { null: "None", true: "True", false: "False" }[value] ?? JSON.stringify(value);
}

// An object literal, or the JSON as a string if JavaScript would change a value.
function javascriptBody(row) {
  if (!isExact(row)) return JSON.stringify(stringify(row));
  return `JSON.stringify(${stringify(row, "  ").replaceAll("\n", "\n  ")})`;
}

function isExact(value) {
  if (value instanceof Digits) return !isLong(value.text);
  if (!isNested(value)) return true;
  return !Object.hasOwn(value, "__proto__") && Object.values(value).every(isExact);
}

// A raw string of R starts and ends with the same number of dashes.
function rawText(text) {
  if (!/["\\\n]/.test(text)) return `"${text}"`;
  let dashes = "";
  while (text.includes(`)${dashes}"`)) dashes += "-";
  return `r"${dashes}(${text})${dashes}"`;
}
