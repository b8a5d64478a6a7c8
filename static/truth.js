// "Was this right?": stores the true value of the prediction shown, for a model with a prediction log.

import { postRows } from "./api.js";
import { parsed, stringify } from "./json.js";

const box = document.getElementById("truth");
const question = box?.querySelector(".truth-question");
const no = document.getElementById("truth-no");
const correction = document.getElementById("truth-form");
const value = document.getElementById("truth-value");
const status = document.getElementById("truth-status");

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
      status.textContent = "Enter a number, with a point before decimals.";
      value.focus();
    } else {
      save(truth);
    }
  });
}

// Offers to give the truth of a prediction; hides the offer if `prediction` is undefined or has no such value.
export function offerTruth(prediction, requestId) {
  if (!box) return;
  const { member } = box.dataset;
  const predicted = member === "" ? prediction : prediction?.[member];
  shown = predicted === undefined || predicted === null ? null : { predicted, requestId };
  box.hidden = shown === null;
  question.hidden = false;
  status.textContent = "";
  if (value.tagName === "INPUT") value.value = "";
  else value.selectedIndex = [...value.options].findIndex((each) => each.value !== stringify(predicted));
  openCorrection(false);
}

function openCorrection(isOpen) {
  correction.hidden = !isOpen;
  no.ariaExpanded = String(isOpen);
}

// The entered value; undefined if it is not a number.
function entered() {
  if (value.tagName === "SELECT") return parsed(value.value);
  const text = value.value.trim();
  if (!("number" in value.dataset)) return text;
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
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
  openCorrection(false);
  question.hidden = true;
  status.textContent = "Saved. Thank you.";
}
