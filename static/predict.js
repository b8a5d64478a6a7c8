// The predict page: the form's row to the API, and what it answers beside the form.

import { draw, element } from "./answer.js";
import { parse, stringify } from "./json.js";
import { body, isJsonShown, json, unwrapped, writeJson } from "./jsontab.js";
import { clearProblems, showProblem, showViolations } from "./problems.js";
import { fill, restore, start, unfinished } from "./row.js";

const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
const answer = document.getElementById("answer");
const note = document.getElementById("answer-note");
const send = document.getElementById("send");
const labels = JSON.parse(answer.dataset.labels);
const nothingYet = answer.textContent;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  predict();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) predict();
});
form.addEventListener("input", markOutdated);
// The browser puts the first values back only after this event.
form.addEventListener("reset", () => setTimeout(startAgain));
for (const button of form.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => showExample(parse(button.dataset.example)));
}
start(form);

async function predict() {
  if (form.ariaBusy === "true") return;
  clearProblems();
  const begun = isJsonShown() ? [] : unfinished(form);
  if (begun.length) return refuse(begun.map(unfinishedViolation));
  setBusy(true);
  const started = performance.now();
  try {
    const response = await fetch(form.dataset.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: body(),
    });
    show(response, await response.text(), performance.now() - started);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    fail({
      title: "The server could not be reached",
      detail: "Nothing you typed is lost. Check the connection, then try again.",
    });
  } finally {
    setBusy(false);
  }
}

function show(response, text, milliseconds) {
  const said = unwrapped(parsed(text));
  if (said === undefined) return fail(notJson(response));
  if (!response.ok) return refuse(said.errors, said, response.headers.get("Retry-After"));
  answer.replaceChildren(draw(said, labels));
  note.textContent = `Answered in ${Math.max(1, Math.round(milliseconds))} ms.`;
  note.scrollIntoView({ block: "nearest" });
  answer.scrollIntoView({ block: "nearest" });
}

function refuse(violations, problem = {}, retryAfter = null) {
  if (Array.isArray(violations) && violations.length) {
    clearAnswer("No answer yet: the input needs another look.");
    return showViolations(violations);
  }
  return fail({ ...problem, detail: sentences(problem.detail, retryAfter) });
}

function sentences(detail, retryAfter) {
  if (!retryAfter) return detail;
  const wait = `Try again in ${retryAfter} s.`;
  return detail ? `${detail.replace(/[.\s]*$/, ".")} ${wait}` : wait;
}

function fail(problem) {
  clearAnswer("No answer this time.");
  showProblem(problem);
}

function notJson(response) {
  return {
    title: `The server answered ${response.status}, and not in JSON`,
    detail: "Perhaps something stands between this page and the server. Nothing you typed is lost.",
  };
}

function unfinishedViolation(field) {
  return { pointer: field.dataset.field, detail: "is not complete yet" };
}

function clearAnswer(text) {
  answer.replaceChildren(element("p", "answer-empty", text));
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
  if (isJsonShown()) writeJson();
}

function showExample(row) {
  clearProblems();
  fill(root, row);
  if (isJsonShown()) json.value = stringify(row, "  ");
  markOutdated();
}

function parsed(text) {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
