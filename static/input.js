// The current row: that of the form, or of the JSON tab while it is shown.

import { fieldAt } from "./fields.js";
import { parsed, same, stringify } from "./json.js";
import { isJsonShown, json, written } from "./json_tab.js";
import { fill, read } from "./row.js";
import { moved } from "./sweep.js";
import { isObject } from "./values.js";

export const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
const jsonTab = document.getElementById("json-tab");

const listeners = [];
let last = null;

// The row as text, as typed. The server validates it.
export function text() {
  return isJsonShown() ? json.value : written(root);
}

// The row; undefined if the text is not JSON.
export function row() {
  return parsed(text());
}

// Shows a row in the form, and in the JSON tab if that is shown.
export function show(value) {
  fill(root, value);
  if (isJsonShown()) json.value = stringify(value, "  ");
  notifyChange();
}

// Like `show`, but opens the JSON tab if the form cannot represent the whole row.
export function showWhole(value) {
  show(value);
  if (isJsonShown() || same(withoutNulls(read(root)), withoutNulls(value))) return;
  bootstrap.Tab.getOrCreateInstance(jsonTab).show();
  json.value = stringify(value, "  ");
  notifyChange();
}

// Shows a value at a JSON Pointer of the row.
export function setAt(pointer, value) {
  if (isJsonShown()) json.value = stringify(moved(row(), pointer, value), "  ");
  else fill(fieldAt(root, pointer).field, value);
  notifyChange();
}

// Calls back whenever the text has changed, with the text.
export function onChange(listener) {
  listeners.push(listener);
}

// Call this after a change without an event.
export function notifyChange() {
  const now = text();
  if (now === last) return;
  last = now;
  for (const listener of listeners) listener(now);
}

// The name of a place in the row, as in a file.
export function nameAt(pointer) {
  return pointer.slice(1);
}

// The form's label for a place in the row.
export function labelOf(pointer) {
  const field = form.querySelector(`[data-field="${CSS.escape(pointer)}"]`);
  return field?.dataset.label || nameAt(pointer) || "The row";
}

export function unitOf(pointer) {
  const field = form.querySelector(`[data-field="${CSS.escape(pointer)}"]`);
  return field?.querySelector(":scope > .with-unit > .unit")?.textContent ?? "";
}

// The form omits empty members.
function withoutNulls(value) {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, withoutNulls(item)]);
  return Object.fromEntries(entries.filter(([, item]) => item !== null && !isEmptyList(item)));
}

function isEmptyList(value) {
  return Array.isArray(value) && value.length === 0;
}

for (const event of ["input", "change", "click", "reset"]) {
  form.addEventListener(event, () => setTimeout(notifyChange));
}
