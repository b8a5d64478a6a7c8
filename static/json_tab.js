// The tab with the row as JSON, for values that no field can represent.

import { parsed, same, stringify } from "./json.js";
import { fill, read } from "./row.js";
import { isObject } from "./values.js";

export const json = document.getElementById("json");

const root = document.querySelector("#form [data-field]");
const isList = ["list", "tuple", "numbers", "lines", "multiselect"].includes(root.dataset.kind);
const formTab = document.getElementById("form-tab");
const jsonTab = document.getElementById("json-tab");
const error = document.getElementById("json-error");
const unshown = document.getElementById("unshown");

// The form's row when the tab was last left, to detect changes.
let left = null;

jsonTab.addEventListener("show.bs.tab", () => {
  if (left === null || left !== written(root)) writeJson();
});
formTab.addEventListener("show.bs.tab", (event) => {
  if (!fillForm()) event.preventDefault();
  left = written(root);
});

export function isJsonShown() {
  return jsonTab.classList.contains("active");
}

export function showForm() {
  if (isJsonShown()) bootstrap.Tab.getOrCreateInstance(formTab).show();
}

// Writes the form's row into the tab.
export function writeJson() {
  json.value = written(root, "  ");
  error.textContent = "";
}

// The request body: the text of this tab as typed, or the form's row. A row that is itself a list is
// sent in a list, or the server would read it as several rows. A blank form sends null, and the server
// lists what is missing.
export function body() {
  const text = isJsonShown() ? json.value : written(root) || "null";
  return isList && text ? `[${text}]` : text;
}

// The prediction or problem of the row, without the list around it.
export function unwrapped(content) {
  if (!isList || !content) return content;
  if (Array.isArray(content)) return content[0];
  const errors = content.errors?.map((one) => ({ ...one, pointer: one.pointer.replace(/^\/0/, "") }));
  return errors ? { ...content, errors } : content;
}

// The form's row as JSON, or an empty string if the form is blank.
export function written(field, indent = "") {
  const row = read(field);
  return row === undefined ? "" : stringify(row, indent);
}

// Shows the tab's row in the form. False, with a message, if it is not JSON.
function fillForm() {
  error.textContent = "";
  unshown.hidden = true;
  if (json.value.trim() === "") return true;
  const row = parsed(json.value);
  if (row === undefined) {
    error.textContent = "This is not valid JSON, so the form cannot show it.";
    json.focus();
    return false;
  }
  fill(root, row);
  const names = unshownNames(row);
  unshown.hidden = names.length === 0;
  unshown.textContent = `Only in the JSON, not sent from this form: ${names.join(", ")}.`;
  return true;
}

// The members of a row that the form does not represent.
function unshownNames(row) {
  const shown = read(root);
  if (same(shown, row)) return [];
  if (!isObject(row) || root.dataset.kind !== "group") return ["the whole row"];
  return Object.keys(row).filter((key) => !same(shown[key], row[key]));
}
