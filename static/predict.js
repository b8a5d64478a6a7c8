// The predict page: the form's row to the API, and what it answers beside the form.

import { clearAddress, readAddress, writeAddress } from "./address.js";
import { draw } from "./answer.js";
import { ask } from "./asking.js";
import { remember } from "./history.js";
import { form, onChange, show, text, told } from "./input.js";
import { parse, stringify } from "./json.js";
import { body, isJsonShown, unwrapped, writeJson } from "./jsontab.js";
import { clearProblems, showProblem, showViolations } from "./problems.js";
import { restore, start, unfinished } from "./row.js";
import { element } from "./values.js";

const answer = document.getElementById("answer");
const note = document.getElementById("answer-note");
const send = document.getElementById("send");
const legend = JSON.parse(answer.dataset.legend);
const nothingYet = answer.textContent;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  predict();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) predict();
});
// The browser puts the first values back only after this event.
form.addEventListener("reset", () => setTimeout(startAgain));
for (const button of form.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => showExample(button.dataset.example));
}
start(form);
readAddress();
told();
onChange(markOutdated);

async function predict() {
  if (form.ariaBusy === "true") return;
  clearProblems();
  const begun = isJsonShown() ? [] : unfinished(form);
  if (begun.length) return refuse(begun.map(unfinishedViolation));
  const asked = text();
  setBusy(true);
  const said = await ask(form.dataset.action, body());
  setBusy(false);
  const problem = unwrapped(said.problem);
  if (problem) return refuse(problem.errors, problem);
  const answered = unwrapped(said.answer);
  answer.replaceChildren(draw(answered, legend));
  note.textContent = sourceWords(said);
  if (text() !== asked) markOutdated();
  writeAddress(asked);
  remember(asked, answered === said.answer ? said : { ...said, text: stringify(answered) });
  note.scrollIntoView({ block: "nearest" });
  answer.scrollIntoView({ block: "nearest" });
}

function sourceWords({ milliseconds, inModel, version, runtime }) {
  const inside = inModel === null ? "" : `, ${duration(inModel)} of it in the model`;
  const source = [version && `version ${version}`, runtime].filter(Boolean).join(", ");
  const words = source && ` ${source[0].toUpperCase()}${source.slice(1)}.`;
  return `Answered in ${duration(milliseconds)}${inside}.${words}`;
}

function duration(milliseconds) {
  if (milliseconds >= 10000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

function refuse(violations, problem) {
  if (Array.isArray(violations) && violations.length) {
    clearAnswer("No answer yet: the input needs another look.");
    return showViolations(violations);
  }
  clearAnswer("No answer this time.");
  return showProblem(problem);
}

function unfinishedViolation(field) {
  return { pointer: field.dataset.field, detail: "is not complete yet" };
}

function clearAnswer(words) {
  answer.replaceChildren(element("p", "answer-empty", words));
  note.textContent = "";
  answer.classList.remove("outdated");
}

function markOutdated() {
  if (!note.textContent || answer.classList.contains("outdated")) return;
  answer.classList.add("outdated");
  note.textContent += " The input has changed since.";
}

function setBusy(isBusy) {
  form.ariaBusy = String(isBusy);
  send.ariaDisabled = String(isBusy);
  answer.classList.toggle("waiting", isBusy);
  if (isBusy) answer.classList.remove("outdated");
}

function startAgain() {
  restore(form);
  clearProblems();
  clearAnswer(nothingYet);
  clearAddress();
  if (isJsonShown()) writeJson();
  told();
}

function showExample(example) {
  clearProblems();
  show(parse(example));
  writeAddress(text());
}
