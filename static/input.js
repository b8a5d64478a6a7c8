// The row that is to be asked: what stands in the form, or in the JSON tab while that is shown.

import { parsed, same, stringify } from "./json.js";
import { isJsonShown, json, written } from "./jsontab.js";
import { fill, read } from "./row.js";
import { isObject } from "./values.js";

export const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
const jsonTab = document.getElementById("json-tab");

const listeners = [];
let last = null;

// The body of a request, as typed: what is wrong with it, the server says.
export function text() {
  return isJsonShown() ? json.value : written(root);
}

// The row; undefined where the text is no JSON.
export function row() {
  return parsed(text());
}

// Shows a row, where the form can; what it cannot show is in the JSON tab.
export function show(value) {
  fill(root, value);
  if (isJsonShown()) json.value = stringify(value, "  ");
  told();
}

// As `show`, for a row that may come from anywhere: none of it is lost.
export function showWhole(value) {
  show(value);
  if (isJsonShown() || same(withoutNulls(read(root)), withoutNulls(value))) return;
  bootstrap.Tab.getOrCreateInstance(jsonTab).show();
  json.value = stringify(value, "  ");
  told();
}

// Calls back whenever the text has changed, with the text.
export function onChange(listener) {
  listeners.push(listener);
}

// To be called after a change that no event tells of.
export function told() {
  const now = text();
  if (now === last) return;
  last = now;
  for (const listener of listeners) listener(now);
}

// The label that the form has for a place in the row.
export function labelOf(pointer) {
  const field = form.querySelector(`[data-field="${CSS.escape(pointer)}"]`);
  return field?.dataset.label || pointer.slice(1) || "The row";
}

// Empty members say nothing that a form does not say by leaving them out.
function withoutNulls(value) {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, withoutNulls(item)]);
  return Object.fromEntries(entries.filter(([, item]) => item !== null && !isEmptyList(item)));
}

function isEmptyList(value) {
  return Array.isArray(value) && value.length === 0;
}

for (const event of ["input", "change", "click", "reset"]) {
  form.addEventListener(event, () => setTimeout(told));
}
