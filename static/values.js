// Scalar values of a prediction as text, and base64 pictures as images.

import { Digits, stringify } from "./json.js";
import { count, percent, rounded } from "./numbers.js";

const LONGEST = 2000;
const SHORT = 80;
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
// Longer numbers may wrap.
const UNBROKEN = 24;
const MOMENT = /^\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-][\d:]+)?)?$|^\d\d:\d\d(:\d\d)?$/;
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

export function element(name, classes = "", text = "") {
  const node = document.createElement(name);
  if (classes) node.className = classes;
  if (text) node.textContent = text;
  return node;
}

export function isNested(value) {
  return value !== null && typeof value === "object" && !(value instanceof Digits);
}

export function isObject(value) {
  return isNested(value) && !Array.isArray(value);
}

// `known` describes the value by the output schema: label, unit, media, names of constants, and whether it
// is a share.
export function scalar(value, known) {
  if (known?.media && typeof value === "string" && BASE64.test(value)) return media(value, known);
  if (typeof value === "string" && value.length > LONGEST) return long(value);
  const text = worded(value, known);
  const node = isNumber(value) ? numeral(text, value.text) : element("span", "as-typed", text);
  if (value === null || value === "") node.classList.add("nothing");
  if (MOMENT.test(value)) node.classList.add("unbroken");
  if (known?.unit) node.append(element("span", "unit-after", ` ${known.unit}`));
  return node;
}

// A number as text that does not wrap. `exact` has all digits, for the tooltip.
export function numeral(text, exact) {
  const node = element("span", text.length > UNBROKEN ? "number" : "number unbroken", text);
  node.title = exact;
  return node;
}

// A value for a table cell: one line, truncated.
export function short(value, unit = "") {
  if (value === undefined) return "";
  if (value === null) return element("span", "nothing", "blank");
  if (!isNested(value) && (typeof value !== "string" || value === "")) return scalar(value, { unit: isNumber(value) ? unit : "" });
  const text = isNested(value) ? stringify(value) : value;
  const cut = text.length > SHORT ? `${text.slice(0, SHORT)}…` : text;
  const node = element("span", MOMENT.test(text) ? "unbroken" : "", cut);
  if (text.length > SHORT) node.title = text.slice(0, 10 * SHORT);
  return node;
}

function isNumber(value) {
  return value instanceof Digits;
}

// The name of a constant in the output schema, else the value as text.
function worded(value, known) {
  const name = known?.names?.[stringify(value)];
  if (name) return name;
  const isShare = known?.share && isNumber(value) && Number(value.text) >= 0 && Number(value.text) <= 1;
  return isShare ? percent(Number(value.text)) : words(value, known?.unit);
}

// A value as text. A number with a unit is no year.
export function words(value, unit = "") {
  if (value === null) return "none";
  if (value === true) return "Yes";
  if (value === false) return "No";
  if (value === "") return "(empty text)";
  return value instanceof Digits ? rounded(value, !unit) : value;
}

// The detail of a problem as a sentence.
export function sentence(detail = "") {
  return detail && `${detail[0].toUpperCase()}${detail.slice(1).replace(/\.$/, "")}.`;
}

export function readable(name) {
  const text = name.replaceAll(/[_\s]+/g, " ").trim() || name || "(no name)";
  return text[0].toUpperCase() + text.slice(1);
}

// Escapes a name for a JSON Pointer, and back.
export function step(key) {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

export function unstep(text) {
  return text.replaceAll("~1", "/").replaceAll("~0", "~");
}

// A picture, by the media type in the schema, is shown; any other file can be saved.
function media(base64, { media: type, label }) {
  const data = base64.replaceAll(/\s/g, "");
  if (PICTURES.includes(type)) {
    const picture = element("img", "picture");
    picture.src = `data:${type};base64,${data}`;
    picture.alt = label ? `${label}, drawn by the model` : "A picture drawn by the model";
    return picture;
  }
  const link = element("a", "btn btn-quiet btn-sm", `Save the file (${size(data)})`);
  link.href = `data:application/octet-stream;base64,${data}`;
  link.download = label || "answer";
  return link;
}

export function size(base64) {
  const padding = base64.endsWith("==") ? 2 : Number(base64.endsWith("="));
  return bytes(Math.floor((base64.length * 3) / 4) - padding);
}

export function bytes(count) {
  if (count < 1000) return count === 1 ? "1 byte" : `${count} bytes`;
  if (count < 1e6) return `${(count / 1000).toFixed(0)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

function long(text) {
  const box = element("details");
  box.append(element("summary", "", `A text of ${count(text.length)} characters`));
  box.append(element("span", "as-typed", text));
  return box;
}
