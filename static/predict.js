// The predict page: sends the form's row to the API, and shows the prediction beside the form.

import "./assistant.js";
import { clearAddress, linkToPrediction, readAddress, writeAddress } from "./address.js";
import { draw } from "./answer.js";
import { predictRows } from "./api.js";
import { asText } from "./astext.js";
import { clearCautions, showCautions } from "./caution.js";
import { copyBy } from "./clipboard.js";
import "./examples.js";
import { offerExplanation } from "./explain.js";
import { remember } from "./history.js";
import { form, onChange, row, show, text, notifyChange } from "./input.js";
import { parse, parsed, same, stringify } from "./json.js";
import { body, isJsonShown, unwrapped, writeJson } from "./json_tab.js";
import { clearProblems, showProblem, showViolations } from "./problems.js";
import "./paste.js";
import { checkModel } from "./replaced.js";
import { restore, start, unfinished } from "./row.js";
import "./tools.js";
import { offerTruth } from "./truth.js";
import { bytes, element } from "./values.js";
import { waitFor } from "./waiting.js";

const answer = document.getElementById("answer");
const notLogged = document.getElementById("not-logged");
const outdated = document.getElementById("answer-outdated");
const note = document.getElementById("answer-note");
const send = document.getElementById("send");
const waitingNote = document.getElementById("answer-waiting");
const copyButton = document.getElementById("copy-text");
const labels = JSON.parse(answer.dataset.labels);
const nothingYet = answer.textContent;
const panel = answer.closest(".answer");
const mostBytes = Number(form.dataset.bytes);

let call = null; // the running one
let shown = null; // {row, answered, cautions, words} of the prediction shown

form.addEventListener("submit", (event) => {
  event.preventDefault();
  predict();
});
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  form.requestSubmit();
});
// The browser restores the initial values after this event.
form.addEventListener("reset", () => setTimeout(resetPage));
for (const button of form.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => showExample(button.dataset.example));
}
new ResizeObserver(() => panel.style.setProperty("--height", `${panel.offsetHeight}px`)).observe(panel);
copyButton.addEventListener("click", () => copyBy(copyButton, asText(shown, labels)));
start(form);
addEventListener("hashchange", openAddress);
onChange(showWhetherOutdated);
openAddress();
notifyChange();

// Shows the row in the address, and predicts it if the link requests that.
function openAddress() {
  cancelCall();
  if (readAddress()) predict();
}

async function predict() {
  if (call) return;
  clearProblems();
  const errors = isJsonShown() ? [] : unfinished(form);
  if (errors.length) return showRejection(errors);
  const [rowText, sent] = [text(), body()];
  const { size } = new Blob([sent]);
  if (size > mostBytes) return showRejection([], tooLarge(size));
  setBusy(true);
  call = waitFor(
    waitingNote,
    (signal) => predictRows(form.dataset.action, sent, { signal, isCautious: "caution" in form.dataset }),
    { usual: Number(form.dataset.seconds || NaN), next: send, onCancel: cancelByUser },
  );
  const response = await call.response;
  if (!response) return;
  call = null;
  setBusy(false);
  const problem = unwrapped(response.problem);
  if (problem?.errors) checkModel();
  if (problem) return showRejection(problem.errors, problem);
  form.dataset.seconds ||= response.milliseconds / 1000;
  const answered = unwrapped(response.answer);
  answer.replaceChildren(draw(answered, labels));
  const predicted = parsed(rowText);
  const cautions = answered === response.answer ? response.cautions : response.cautions?.[0];
  showCautions(cautions, predicted);
  shown = { row: predicted, answered, cautions, words: sourceWords(response) };
  offerExplanation(sent, response.identity);
  offerTruth(response.isLogged ? answered : undefined, response.requestId);
  if (notLogged) notLogged.hidden = response.isLogged;
  showWhetherOutdated();
  writeAddress(rowText);
  remember(rowText, { ...response, text: answered === response.answer ? response.text : stringify(answered), cautions });
  note.scrollIntoView({ block: "nearest" });
  answer.scrollIntoView({ block: "nearest" });
}

function cancelByUser() {
  cancelCall();
  if (!shown) clearAnswer("Cancelled. The input is kept.");
}

// Cancels the running call, whose input has been replaced.
function cancelCall() {
  call?.abort();
  call = null;
  setBusy(false);
}

function tooLarge(size) {
  return {
    title: `The input has ${bytes(size)}`,
    detail: `The server accepts at most ${bytes(mostBytes)}. Nothing was sent.`,
  };
}

function sourceWords({ milliseconds, inModel, version, runtime }) {
  const inside = inModel === null ? "" : ` (model: ${duration(inModel)})`;
  const source = version ? [`Version ${version}`, runtime].filter(Boolean).join(", ") : runtime && `With ${runtime}`;
  return `${duration(milliseconds)}${inside}.${source ? ` ${source}.` : ""}`;
}

function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

function showRejection(violations, problem) {
  if (Array.isArray(violations) && violations.length) {
    clearAnswer("No prediction yet. Correct the marked fields.");
    return showViolations(violations);
  }
  clearAnswer("No prediction.");
  return showProblem(problem);
}

function clearAnswer(words) {
  offerTruth();
  if (notLogged) notLogged.hidden = true;
  answer.replaceChildren(element("p", "answer-empty", words));
  clearCautions();
  shown = null;
  offerExplanation(null);
  showWhetherOutdated();
}

// The same row in another notation is not a change.
function showWhetherOutdated() {
  const isOutdated = shown !== null && !same(shown.row, row());
  answer.classList.toggle("outdated", isOutdated);
  document.getElementById("why")?.classList.toggle("outdated", isOutdated);
  outdated.hidden = !isOutdated;
  outdated.textContent = isOutdated ? "The input has changed. Press Predict to update." : "";
  note.textContent = shown ? shown.words : "";
  copyButton.hidden = shown === null;
  linkToPrediction(shown !== null && !isOutdated);
}

function setBusy(isBusy) {
  form.ariaBusy = String(isBusy);
  send.ariaDisabled = String(isBusy);
  answer.classList.toggle("waiting", isBusy);
}

function resetPage() {
  cancelCall();
  restore(form);
  clearProblems();
  clearAnswer(nothingYet);
  clearAddress();
  if (isJsonShown()) writeJson();
  notifyChange();
}

function showExample(example) {
  cancelCall();
  clearProblems();
  clearCautions();
  show(parse(example));
  writeAddress(text());
}
