// A form's fields to a row and back. What each field is, its `data-` attributes say; they come from
// app/web/forms.py. Nothing here knows of schemas.

import { number, parse, same, stringify } from "./json.js";

// How a field's text becomes a value, and a value the text; and the value of no text at all where
// that is an answer.
const KINDS = {
  text: { read: (text) => text, write: plain, empty: "" },
  number: { read: number, write: plain },
  moment: { read: readMoment, write: writeMoment },
  choice: { read: parse, write: writeChoice },
  fixed: { read: parse, write: (value, field) => controls(field)[0].value },
  json: { read: readJson, write: (value) => stringify(value, "  ") },
  lines: {
    read: (text) => text.replace(/\n$/, "").split("\n"),
    write: (value) => (Array.isArray(value) ? value.map(plain).join("\n") : plain(value)),
    empty: [],
  },
  numbers: {
    read: (text) => text.split(/[\s,;]+/).filter(Boolean).map(number),
    write: (value) => (Array.isArray(value) ? value.map(plain).join(", ") : plain(value)),
    empty: [],
  },
};

// The field's value; undefined where there is none to send.
export function read(field) {
  if (field.dataset.kind === "group") return readGroup(field);
  if (field.dataset.kind === "checks") return readChecks(field);
  const kind = KINDS[field.dataset.kind];
  const text = typed(field);
  return text === "" ? blank(field, kind.empty) : kind.read(text, field);
}

// Shows the value in the field; undefined clears it.
export function fill(field, value) {
  if (field.dataset.kind === "group") return fillGroup(field, value);
  if (field.dataset.kind === "checks") return fillChecks(field, value);
  const kind = KINDS[field.dataset.kind];
  const isBlank = value === undefined || (value === null && field.dataset.blank === "null");
  type(field, isBlank && field.dataset.kind !== "fixed" ? "" : kind.write(value, field));
}

// Prepares a new page: moments that stand in it from the start are shown in local time.
export function start(form) {
  for (const field of form.querySelectorAll('[data-kind="moment"]')) {
    fill(field, field.dataset.first || undefined);
  }
}

// Puts back what the browser's own reset does not.
export function restore(form) {
  for (const group of form.querySelectorAll("[data-given]")) group.removeAttribute("data-given");
  start(form);
}

// Dates that were begun and not finished: a browser shows them, and tells no script what they say.
export function unfinished(form) {
  return [...form.querySelectorAll("[data-field] input")]
    .filter((control) => control.validity.badInput)
    .map((control) => control.closest("[data-field]"));
}

export function controls(field) {
  return [...field.querySelectorAll("input, select, textarea")];
}

function readGroup(group) {
  if (group.dataset.blank !== "empty" && !isSaid(group)) return blank(group);
  const members = children(group).map((field) => [field.dataset.key, read(field)]);
  return Object.fromEntries(members.filter(([, value]) => value !== undefined));
}

function fillGroup(group, value) {
  const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
  group.toggleAttribute("data-given", isObject);
  for (const field of children(group)) {
    const key = field.dataset.key;
    fill(field, isObject && Object.hasOwn(value, key) ? value[key] : undefined);
  }
}

function readChecks(field) {
  const ticked = controls(field).filter((control) => control.checked);
  return ticked.length ? ticked.map((control) => parse(control.value)) : blank(field, []);
}

function fillChecks(field, value) {
  const items = Array.isArray(value) ? value : [];
  for (const control of controls(field)) {
    control.checked = items.some((item) => same(item, parse(control.value)));
  }
}

function children(group) {
  return [...group.querySelectorAll(":scope > [data-members] > [data-field]")];
}

function blank(field, empty) {
  return { omit: undefined, null: null, empty }[field.dataset.blank];
}

// Whether a person, or an example, said something in a group that may be left out: what stands in
// it from the start says nothing.
function isSaid(group) {
  const inside = controls(group);
  if (inside.some(isChanged)) return true;
  return "given" in group.dataset && inside.some((control) => control.value !== "");
}

function isChanged(control) {
  if (["radio", "checkbox"].includes(control.type)) return control.checked !== control.defaultChecked;
  if (control.options) return [...control.options].some((one) => one.selected !== one.defaultSelected);
  return control.value !== control.defaultValue;
}

function typed(field) {
  const [first, ...rest] = controls(field);
  if (first.type !== "radio") return first.value;
  return [first, ...rest].find((control) => control.checked)?.value ?? "";
}

function type(field, text) {
  const [first, ...rest] = controls(field);
  if (first.type !== "radio") first.value = text;
  else for (const control of [first, ...rest]) control.checked = control.value === text;
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

// Text that is not JSON is sent as text: the server says what is wrong with it.
function readJson(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

// RFC 3339 in the reader's own time; a moment that nobody touched goes back as it came.
function readMoment(text, field) {
  const [shown, moment] = JSON.parse(field.dataset.moment ?? "[]");
  if (text === shown) return moment;
  const minutes = -new Date(text).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const seconds = text.length === "2000-01-01T00:00".length ? ":00" : "";
  return `${text}${seconds}${minutes < 0 ? "-" : "+"}${twoDigits(hours)}:${twoDigits(rest)}`;
}

function writeMoment(value, field) {
  const moment = new Date(value);
  if (typeof value !== "string" || Number.isNaN(moment.getTime())) return "";
  const day = [moment.getFullYear(), moment.getMonth() + 1, moment.getDate()].map(twoDigits).join("-");
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(twoDigits).join(":");
  const shown = `${day}T${time}`;
  const [control] = controls(field);
  control.value = shown; // a browser may drop the seconds
  field.dataset.moment = JSON.stringify([control.value, value]);
  return control.value;
}

function twoDigits(value) {
  return String(value).padStart(2, "0");
}
