// Conversions between the text of a field and its value. `empty` is the value of a blank field, if it
// has one.

import { parse, parsed, same, stringify } from "./json.js";
import { number, numbers, unambiguous } from "./numerals.js";

// A day, a time, and its fraction, with the offset of UTC or without one. Digits beyond the third are cut.
const LOCAL = new RegExp(
  /^(?:(\d{4}-\d\d-\d\d)(?:[T ](?=\d)|$))?/.source +
    /(?:(\d\d:\d\d(?::\d\d)?)(\.\d{1,3})?\d*(?:Z|[+-]00:?00)?)?$/.source,
  "i",
);

export const KINDS = {
  text: { read: (text) => text, write: plain, empty: "" },
  number: { read: number, write: (value) => unambiguous(plain(value)) },
  datetime: { read: readDatetime, write: writeDatetime },
  local: { read: (text, field) => untouched(text, field) ?? text, write: writeLocal },
  choice: { read: parse, write: writeChoice },
  fixed: { read: parse, write: (value, field) => controls(field)[0].value },
  json: { read: readJson, write: (value) => stringify(value, "  ") },
  lines: {
    read: (text) => text.replace(/\n$/, "").split("\n"),
    write: (value) => (Array.isArray(value) ? value.map(plain).join("\n") : plain(value)),
    empty: [],
  },
  numbers: {
    read: numbers,
    write: (value) =>
      Array.isArray(value) ? value.map((item) => unambiguous(plain(item))).join(", ") : plain(value),
    empty: [],
  },
};

export function controls(field) {
  return [...field.querySelectorAll("input, select, textarea")];
}

export function getText(field) {
  const [first, ...rest] = controls(field);
  if (first.type !== "radio") return first.value;
  return [first, ...rest].find((control) => control.checked)?.value ?? "";
}

export function setText(field, text) {
  const [first, ...rest] = controls(field);
  if (first.type !== "radio") first.value = text;
  else for (const control of [first, ...rest]) control.checked = control.value === text;
}

// Shows the initial dates and times of a new part of the form.
export function startDates(part) {
  for (const field of part.querySelectorAll('[data-kind="datetime"], [data-kind="local"]')) {
    const [control] = controls(field);
    const { initial, kind } = field.dataset;
    if (initial) control.value = KINDS[kind].write(initial, field);
    control.dataset.initial = control.value;
    const zone = field.querySelector("[data-zone]");
    if (zone) zone.textContent = ` (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
  }
}

// The text of the choice that is this value, however its JSON is written.
function writeChoice(value, field) {
  const [first, ...rest] = controls(field);
  const texts = [...(first.options ?? [first, ...rest])].map((one) => one.value).filter(Boolean);
  return texts.find((text) => same(parse(text), value)) ?? "";
}

function plain(value) {
  return typeof value === "string" ? value : stringify(value);
}

// Text that is not JSON is sent as text. The server rejects it.
function readJson(text) {
  const value = parsed(text);
  return value === undefined ? text : value;
}

// RFC 3339 in the reader's own time zone. An unchanged value is sent as received.
function readDatetime(text, field) {
  const unchanged = untouched(text, field);
  if (unchanged !== undefined) return unchanged;
  const minutes = -new Date(text).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const seconds = text.length === "2000-01-01T00:00".length ? ":00" : "";
  return `${text}${seconds}${minutes < 0 ? "-" : "+"}${twoDigits(hours)}:${twoDigits(rest)}`;
}

function writeDatetime(value, field) {
  const date = new Date(value);
  if (typeof value !== "string" || Number.isNaN(date.getTime())) return "";
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join("-");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
  return keep(`${day}T${time}`, value, field);
}

// The parts of a local date and time that the field's control shows. They are the same in every
// browser, as the text has no offset, or that of UTC, which often stands for a missing one.
function writeLocal(value, field) {
  const [, day = "", time = "", fraction = ""] = LOCAL.exec(value) ?? [];
  const [control] = controls(field);
  const picked = {
    date: /[1-9]/.test(time + fraction) ? "" : day,
    "datetime-local": day && `${day}T${time || "00:00"}${fraction}`,
    time: day ? "" : time + fraction,
  };
  return keep(picked[control.type] ?? "", value, field);
}

// Shows a text for a value, and returns the control's version of it, which may lack the seconds.
function keep(text, value, field) {
  const [control] = controls(field);
  control.value = text;
  field.dataset.received = JSON.stringify([control.value, value]);
  return control.value;
}

// The value that was filled in, unless the text has changed since.
function untouched(text, field) {
  const [shown, value] = JSON.parse(field.dataset.received ?? "[]");
  return text === shown ? value : undefined;
}

function twoDigits(value) {
  return String(value).padStart(2, "0");
}
