// "Was this right?": stores the true value of the prediction shown, for a model with a prediction log.

import { postRows } from "./api.js";
import { Digits, parsed, stringify } from "./json.js";
import { number, readBack } from "./numerals.js";

const box = document.getElementById("truth");
const question = box?.querySelector(".truth-question");
const no = document.getElementById("truth-no");
const correction = document.getElementById("truth-form");
const value = document.getElementById("truth-value");
const back = document.getElementById("truth-back");
const status = document.getElementById("truth-status");
const change = document.getElementById("truth-change");

let shown = null; // {requestId, predicted} of the prediction shown

if (box) {
  document.getElementById("truth-yes").addEventListener("click", () => save(shown.predicted));
  no.addEventListener("click", () => {
    openCorrection(correction.hidden);
    if (!correction.hidden) value.focus();
  });
  correction.addEventListener("submit", (event) => {
    event.preventDefault();
    const truth = entered();
    if (truth === undefined) {
      status.textContent = "number" in value.dataset ? "Enter a number, such as 1234.5." : "Enter the true value.";
      value.focus();
    } else {
      save(truth);
    }
  });
  change.addEventListener("click", () => {
    change.hidden = true;
    status.textContent = "";
    question.hidden = false;
    openCorrection(true);
    value.focus();
  });
  if (back) value.addEventListener("input", () => (back.textContent = readBack(value.value)));
}

// Offers to give the truth of a prediction; hides the offer if `prediction` is undefined or has no such value.
export function offerTruth(prediction, requestId) {
  if (!box) return;
  const { member } = box.dataset;
  const predicted = member === "" ? prediction : prediction?.[member];
  shown = predicted === undefined || predicted === null ? null : { predicted, requestId };
  box.hidden = shown === null;
  question.hidden = false;
  change.hidden = true;
  status.textContent = "";
  if (back) back.textContent = "";
  if (value.tagName === "INPUT") value.value = "";
  else value.selectedIndex = [...value.options].findIndex((each) => each.value !== stringify(predicted));
  openCorrection(false);
}

function openCorrection(isOpen) {
  correction.hidden = !isOpen;
  no.ariaExpanded = String(isOpen);
}

// The entered value; undefined if it is missing or not the number that is needed.
function entered() {
  if (value.tagName === "SELECT") return parsed(value.value);
  const text = value.value.trim();
  if (!("number" in value.dataset)) return text || undefined;
  const typed = number(text);
  return typed instanceof Digits ? typed : undefined;
}

async function save(truth) {
  const given = shown;
  status.textContent = "Saving …";
  const { problem } = await postRows(box.dataset.action, stringify({ request_id: given.requestId, truth }));
  if (given !== shown) return;
  if (problem) {
    status.textContent = `Not saved. ${problem.title}: ${problem.detail}`;
    return;
  }
  const hadFocus = [question, correction].some((each) => each.contains(document.activeElement));
  openCorrection(false);
  question.hidden = true;
  status.textContent = `Saved: it was ${label(truth)}.`;
  change.hidden = false;
  if (hadFocus) change.focus();
}

// The true value as the form names it.
function label(truth) {
  const text = stringify(truth);
  const option = [...(value.options ?? [])].find((each) => each.value === text);
  return option?.textContent ?? (typeof truth === "string" ? truth : text);
}
