// Parses numbers as people type them: 52 000, 1,234.5, €14.90. The rules are those of mlmodel/schema/texts/numerals.py,
// which documents them; tests/data/numerals.json has the test cases of both.

import { Digits } from "./json.js";

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const GROUPED_BY_POINTS = /^-?[1-9]\d{0,2}\.\d{3}$/;
const LONE_COMMA = /^\D*\d*,\d+([eE][+-]?\d+)?\D*$/;
const CURRENCY = "[$£¥฿\u20a0-\u20cf]";
const BLANK = " \u00a0\u2007\u2009\u202f";
const MONEY = new RegExp(CURRENCY, "g");
const PATTERNS = { ".": pattern(".", ","), ",": pattern(",", ".") };

// The typed text as a number if it is unambiguous, else as text.
export function number(typed) {
  const text = typed.trim();
  if (JSON_NUMBER.test(text)) {
    return GROUPED_BY_POINTS.test(text) || !isDouble(text) ? typed : new Digits(text);
  }
  const [withPoint, withComma] = [read(text, "."), read(text, ",")];
  if (withComma === null || withComma === withPoint) return withPoint ? new Digits(withPoint) : typed;
  return withPoint === null && !LONE_COMMA.test(text) ? new Digits(withComma) : typed;
}

// A list of numbers, separated by commas, or by spaces and semicolons.
export function numbers(text) {
  let parts = text.replaceAll(/^[\s,;]+|[\s,;]+$/g, "").split(/,?[\s;]+,?/).filter(Boolean);
  const isOne = parts.length === 1 && !/^[-+]?[1-9]\d{0,2}(,\d{3})+$/.test(parts[0]);
  if (isOne) parts = parts[0].split(",").filter(Boolean);
  return parts.map((part) => (part.includes(",") ? part : number(part)));
}

// A number's text, with a zero appended if its three decimals could be a group of thousands.
export function unambiguous(text) {
  return GROUPED_BY_POINTS.test(text) ? `${text}0` : text;
}

// The parsed number for display below the field, if it has four or more digits before the point or was
// typed in another notation.
export function readBack(typed) {
  const value = number(typed);
  if (!(value instanceof Digits)) return "";
  const [, minus, whole, rest] = /^(-?)(\d+)(.*)$/.exec(value.text);
  if (whole.length < 4 && (value.text === typed.trim() || JSON_NUMBER.test(typed.trim()))) return "";
  return `= ${minus}${whole.replaceAll(/\B(?=(\d{3})+$)/g, ",")}${rest}`;
}

function pattern(mark, other) {
  const money = `(?:${CURRENCY}[${BLANK}]?)?`;
  const group = `[${other}${BLANK}'\u2019]`;
  const whole = `[1-9]\\d{0,2}(?:(${group})\\d{3})(?:\\3\\d{3})*|\\d+`;
  const fraction = mark === "." ? "\\.(\\d*)" : ",(\\d+)";
  return new RegExp(
    `^${money}([+\\-\u2212]?)${money}(?:(${whole})(?:${fraction})?|[${mark}](\\d+))` +
      `([eE][+-]?\\d+)?(?:[${BLANK}]?${CURRENCY})?$`,
  );
}

// The number in JSON notation; null if the text is not a number with this decimal mark.
function read(text, mark) {
  const found = PATTERNS[mark].exec(text);
  if (!found || (text.match(MONEY) ?? []).length > 1) return null;
  const [, sign, whole, group, after, alone, exponent = ""] = found;
  if (group && exponent) return null;
  const digits = (whole ?? "0").replaceAll(/\D/g, "").replace(/^0+(?=\d)/, "");
  const fraction = alone ?? after;
  const tail = fraction === undefined ? "" : `.${fraction || "0"}`;
  const json = `${["-", "\u2212"].includes(sign) ? "-" : ""}${digits}${tail}${exponent}`;
  return isDouble(json) ? json : null;
}

function isDouble(text) {
  return Number.isFinite(Number(text));
}
