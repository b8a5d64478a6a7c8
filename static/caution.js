// Cautions about the input of a prediction, as the API returns them: {pointer, kind, detail}. They mark
// fields, and do not keep anyone from predicting.

import { fieldAt } from "./fields.js";
import { count } from "./numbers.js";
import { isRow, linkTo, markSections } from "./places.js";
import { controls } from "./row.js";
import { element } from "./values.js";

const MOST_LISTED = 8;

const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
const box = document.getElementById("answer-caution");

// Shows the cautions beside their fields and above the prediction. `cautions` is undefined if there is no profile.
export function showCautions(cautions) {
  clearCautions();
  if (!cautions?.length) return;
  const list = element("ul");
  for (const { pointer, detail } of cautions.slice(0, MOST_LISTED)) {
    const { field } = fieldAt(root, pointer);
    const item = element("li");
    item.append(linkTo(field, field.dataset.label), `: ${detail}`);
    list.append(item);
  }
  const more = cautions.length - MOST_LISTED;
  if (more > 0) list.append(element("li", "", `${count(more)} more`));
  for (const { pointer, detail } of cautions) mark(fieldAt(root, pointer).field, detail);
  markSections();
  const title = element("p", "caution-title", summary(cautions));
  box.replaceChildren(title, list);
  box.hidden = false;
}

export function clearCautions() {
  box.hidden = true;
  box.replaceChildren();
  for (const note of form.querySelectorAll(".field-caution")) {
    for (const control of form.querySelectorAll(`[aria-describedby~="${note.id}"]`)) {
      control.setAttribute("aria-describedby", control.getAttribute("aria-describedby").replace(`${note.id} `, ""));
    }
    note.remove();
  }
  for (const field of form.querySelectorAll(".cautioned")) field.classList.remove("cautioned");
  markSections();
}

// Such as "2 inputs are outside the training data, 4 are blank."
export function summary(cautions) {
  const blank = cautions.filter(({ kind }) => kind === "blank").length;
  const outside = cautions.length - blank;
  const parts = [];
  if (outside) parts.push(`${inputs(outside)} outside the training data`);
  if (blank) parts.push(outside ? `${count(blank)} left blank` : `${inputs(blank)} left blank that the training data always have`);
  return `${parts.join(", ")}.`;
}

// The cautions as one cell of a table. `toName` returns the name of a field at a JSON Pointer.
export function cautionText(cautions, toName) {
  return cautions.map(({ pointer, detail }) => `${toName(pointer)}: ${detail}`).join("; ");
}

function inputs(number) {
  return `${count(number)} ${number === 1 ? "input is" : "inputs are"}`;
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
