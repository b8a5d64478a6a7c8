// Cautions about the input of a prediction, as the API returns them: {pointer, kind, detail}. They mark
// fields, and do not keep anyone from predicting.

import { fieldAt } from "./fields.js";
import { onChange, row } from "./input.js";
import { same } from "./json.js";
import { count } from "./numbers.js";
import { isRow, linkTo, markSections } from "./places.js";
import { controls } from "./row.js";
import { at } from "./sweep.js";
import { element } from "./values.js";

const MOST_LISTED = 8;

const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
const box = document.getElementById("answer-caution");

let shown = []; // {pointer, detail, field, value} of the prediction shown

onChange(markFields);

// Shows the cautions above the prediction for a row, and beside their fields until their values change. `cautions` is
// undefined if there is no profile.
export function showCautions(cautions, predicted) {
  clearCautions();
  if (!cautions?.length) return;
  shown = cautions.map((each) => ({ ...each, field: fieldAt(root, each.pointer).field, value: at(predicted, each.pointer) }));
  const list = element("ul");
  for (const { field, detail } of shown.slice(0, MOST_LISTED)) {
    const item = element("li");
    item.append(linkTo(field, field.dataset.label), `: ${detail}`);
    list.append(item);
  }
  const more = cautions.length - MOST_LISTED;
  if (more > 0) list.append(element("li", "", `${count(more)} more`));
  markFields();
  const title = element("p", "caution-title", summary(cautions));
  box.replaceChildren(title, list);
  box.hidden = false;
}

export function clearCautions() {
  box.hidden = true;
  box.replaceChildren();
  for (const { field } of shown) unmark(field);
  shown = [];
  markSections();
}

// Such as "2 inputs are outside the training data, 4 are blank."
export function summary(cautions) {
  const blank = cautions.filter(({ kind }) => kind === "blank").length;
  const outside = cautions.length - blank;
  const parts = [];
  if (outside) parts.push(`${inputs(outside)} outside the training data`);
  if (blank) parts.push(outside ? `${count(blank)} left blank` : `${inputs(blank)} blank, but never blank in the training data`);
  return `${parts.join(", ")}.`;
}

// The cautions as one cell of a table. `toName` returns the name of a field at a JSON Pointer.
export function cautionText(cautions, toName) {
  return cautionLines(cautions, toName).join("; ");
}

export function cautionLines(cautions, toName) {
  return cautions.map(({ pointer, detail }) => `${toName(pointer)}: ${detail}`);
}

function inputs(number) {
  return `${count(number)} ${number === 1 ? "input is" : "inputs are"}`;
}

// Marks the fields with cautions whose values are unchanged, and no others.
function markFields() {
  if (!shown.length) return;
  const now = row();
  const isUnchanged = ({ pointer, value }) => same(at(now, pointer) ?? null, value ?? null);
  for (const caution of shown) if (!isUnchanged(caution)) unmark(caution.field);
  for (const caution of shown) if (isUnchanged(caution)) mark(caution.field, caution.detail);
  markSections();
}

function mark(field, detail) {
  if (isRow(field)) return;
  const error = field.querySelector(":scope > [data-error]");
  if (!error || field.classList.contains("cautioned")) return;
  field.classList.add("cautioned");
  const note = element("p", "field-caution", detail);
  note.id = `${error.id}-caution`;
  error.after(note);
  for (const control of controls(field)) {
    control.setAttribute("aria-describedby", `${note.id} ${control.getAttribute("aria-describedby") ?? ""}`);
  }
}

function unmark(field) {
  const note = field.querySelector(":scope > .field-caution");
  if (!note) return;
  // A list may have got items since.
  for (const control of field.querySelectorAll(`[aria-describedby~="${CSS.escape(note.id)}"]`)) {
    control.setAttribute("aria-describedby", control.getAttribute("aria-describedby").replace(`${note.id} `, ""));
  }
  field.classList.remove("cautioned");
  note.remove();
}
