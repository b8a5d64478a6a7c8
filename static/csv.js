// Writes tables as CSV (RFC 4180). Spreadsheets read the cells as data, never as formulas.

import { Digits, stringify } from "./json.js";
import { isObject } from "./values.js";

// Characters that start a formula in spreadsheets, also in full width, and an escaped one.
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
// With any decimal mark.
const NUMBER = /^'*[+-]?[.,]?\d[\d.,]*(e[+-]?\d+)?$/i;
// Spreadsheets read a file as UTF-8 only if it has a byte order mark.
const MARK = "\ufeff";

// `rows` are objects; the columns are their names, in the order of first occurrence.
export function csv(rows) {
  const names = columns(rows);
  const lines = rows.map((row) => names.map((name) => cell(row[name])).join(","));
  return `${MARK}${[names.map(cell).join(","), ...lines].join("\r\n")}\r\n`;
}

export function columns(rows) {
  return [...new Set(rows.flatMap(Object.keys))];
}

// A prediction as flat columns: {"a": {"b": 1}} becomes {"a.b": 1}, and 1 becomes {prediction: 1}.
export function flat(value) {
  return isObject(value) ? Object.fromEntries(flatEntries(value, "")) : { prediction: value };
}

// The columns of a row and of its prediction; duplicate names get a prefix.
export function joined(row, answer) {
  const inputs = isObject(row) ? row : { row };
  const names = Object.keys(inputs);
  const added = Object.entries(flat(answer)).map(([name, value]) => [free(name, names, "prediction."), value]);
  return { ...inputs, ...Object.fromEntries(added) };
}

// The name, prefixed with `words` until it is not in `names`.
export function free(name, names, words) {
  return names.includes(name) ? free(`${words}${name}`, names, words) : name;
}

export function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function flatEntries(members, prefix) {
  return Object.entries(members).flatMap(([key, value]) => {
    const isDeep = isObject(value) && Object.keys(value).length > 0;
    return isDeep ? flatEntries(value, `${prefix}${key}.`) : [[`${prefix}${key}`, value]];
  });
}

function cell(value) {
  if (value === undefined || value === null) return "";
  if (value instanceof Digits) return value.text;
  const text = typeof value === "string" ? value : stringify(value);
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
