// A form of many fields: a filter, sections that count their filled fields, and typical values for the rest.

import { controls, getText } from "./controls.js";
import { inner } from "./fields.js";
import { form, notifyChange, onChange } from "./input.js";
import { parse } from "./json.js";
import { count } from "./numbers.js";
import { targets } from "./paste.js";
import { fill, read } from "./row.js";
import { announce } from "./undo.js";

const root = form.querySelector("[data-field]");
const sections = [...form.querySelectorAll("[data-section]")];
const filter = document.getElementById("field-filter");
const onlyBlank = document.getElementById("field-blank");
const status = document.getElementById("field-count");

if (sections.length) onChange(countFilled);
if (filter) {
  for (const control of [filter, onlyBlank]) control.addEventListener("input", show);
  filter.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would send the form
    const first = inner(root).find((field) => !field.classList.contains("filtered"));
    first?.querySelector("input, select, textarea, button")?.focus();
  });
  form.addEventListener("reset", () => setTimeout(show));
}
document.getElementById("fill-typical")?.addEventListener("click", fillTypical);

function countFilled() {
  for (const section of sections) {
    const fields = [...section.querySelectorAll(":scope > .fields > [data-field]")];
    const filled = fields.filter((field) => !isBlank(field)).length;
    section.querySelector("[data-filled]").textContent = `${filled} of ${fields.length} filled`;
  }
}

function isBlank(field) {
  return controls(field).length === 0 || (getText(field) === "" && read(field) === undefined);
}

// Shows the fields whose name contains all words of the filter.
function show() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isActive = words.length > 0 || onlyBlank.checked;
  const fields = inner(root);
  let shown = 0;
  for (const field of fields) {
    const name = `${field.dataset.label} ${field.dataset.key}`.toLowerCase();
    const isShown = words.every((word) => name.includes(word)) && !(onlyBlank.checked && !isBlank(field));
    field.classList.toggle("filtered", !isShown);
    shown += isShown ? 1 : 0;
  }
  for (const section of sections) showSection(section, isActive);
  status.textContent = isActive ? `${count(shown)} of ${count(fields.length)} fields` : "";
}

// A filter opens the sections with a match, and leaves out the others.
function showSection(section, isActive) {
  if (isActive && section.dataset.was === undefined) section.dataset.was = section.open ? "open" : "";
  const hasMatch = section.querySelector(":scope > .fields > [data-field]:not(.filtered)") !== null;
  section.classList.toggle("filtered", !hasMatch);
  if (isActive) section.open = hasMatch;
  else if (section.dataset.was !== undefined) {
    section.open = section.dataset.was === "open";
    delete section.dataset.was;
  }
}

// Fills the blank required fields. The row is from app/web/pages/forms/typical.py.
function fillTypical(event) {
  const typical = parse(event.target.dataset.row);
  const blank = targets().filter((field) => getText(field) === "");
  const filled = blank.filter(({ dataset }) => Object.hasOwn(typical, dataset.key));
  const before = filled.map((field) => [field, read(field)]);
  for (const field of filled) fill(field, typical[field.dataset.key]);
  notifyChange();
  const words = `${count(filled.length)} blank field${filled.length === 1 ? "" : "s"} filled with typical values.`;
  announce(words, before);
}
