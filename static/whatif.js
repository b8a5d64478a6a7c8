// The panel that varies one field, and plots the predictions of one or two models while the form changes.

import { predictEach, TRIED } from "./api.js";
import { drawCurves, showCurves } from "./curves.js";
import { form, labelOf, onChange, row, text } from "./input.js";
import { Digits, parsed, same, stringify } from "./json.js";
import { number as typedNumber } from "./numerals.js";
import { count } from "./numbers.js";
import { violationText } from "./problems.js";
import { startSliders } from "./sliders.js";
import { ends, isFar, moved, numberAt, stops } from "./sweep.js";
import { sentence } from "./values.js";
import { usualWords, waitFor } from "./waiting.js";

// Milliseconds without a change before the predictions are updated.
const PAUSE = 150;
// A model that takes longer than this, or has not been measured yet, is only called on request, in seconds.
const SLOW = 1.5;
const MOST_NAMED = 3;
const MOST_REASONS = 5;
const FILL_IN = "Fill in the form or try an example to see how the prediction changes.";

const part = (name) => document.getElementById(`whatif-${name}`);
const [controls, axisChoice, low, high, other] = ["form", "axis", "low", "high", "other"].map(part);
const [status, waiting, result, runButton] = ["status", "waiting", "result", "run"].map(part);
const example = parsed(form.querySelector("[data-example]")?.dataset.example ?? "");

let isVisible = false;
let isTyped = false; // whether the user entered the range
let isUsed = false; // whether the user has used the panel
let isManual = true; // whether the model is only called on request
let blank = null; // the text of the form before any input
let shown = null; // {current, sent, words}: the row and the request that are shown
let call = null; // the running one
let timer = null;

if (controls) start();

function start() {
  new IntersectionObserver(([entry], observer) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    startSliders(part("fields"), [...axisChoice.options].map((option) => JSON.parse(option.value)), example);
  }).observe(part("fields"));
  controls.addEventListener("submit", (event) => {
    event.preventDefault();
    isUsed = true;
    run(true);
  });
  for (const input of [low, high]) {
    input.addEventListener("input", () => {
      isTyped = true;
      schedule();
    });
  }
  axisChoice.addEventListener("change", () => {
    isTyped = false;
    suggest();
    schedule();
  });
  other?.addEventListener("change", schedule);
  part("output").addEventListener("change", drawCurves);
  for (const event of ["pointerdown", "keydown"]) part("panel").addEventListener(event, use);
  onChange((now) => {
    blank ??= location.hash ? null : now;
    if (!isTyped) fit();
    schedule();
  });
  form.addEventListener("reset", () => setTimeout(() => setTimeout(clear)));
  new IntersectionObserver((entries) => {
    isVisible = entries.at(-1).isIntersecting;
    if (isVisible) drawCurves();
    schedule();
  }).observe(part("panel"));
  addEventListener("resize", drawCurves);
  new MutationObserver(drawCurves).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  new MutationObserver(() => {
    measure();
    schedule();
  }).observe(form, { attributeFilter: ["data-seconds"] });
  suggest();
  measure();
}

// The usual duration of a prediction in seconds; NaN before the first.
function usual() {
  return Number(form.dataset.seconds || NaN);
}

function measure() {
  isManual = !(usual() <= SLOW);
}

function use() {
  if (isUsed) return;
  isUsed = true;
  schedule();
}

function axis() {
  return JSON.parse(axisChoice.value);
}

// Suggests the range of the chosen field.
function suggest() {
  const { choices, unit, pointer } = axis();
  part("ends").hidden = choices.length > 0;
  part("unit").textContent = unit;
  const typical = example === undefined ? null : numberAt(example, pointer);
  const [from, to] = ends(axis(), numberAt(row(), pointer), typical);
  low.value = from ?? "";
  high.value = to ?? "";
}

// Suggests another range if the number in the form does not fit into the current one.
function fit() {
  const now = numberAt(row(), axis().pointer);
  const [from, to] = [Number(low.value), Number(high.value)];
  const fits = low.value !== "" && now >= from && now <= to && (axis().is_usual || !isFar(from, to, now));
  if (now !== null && !fits) suggest();
}

// After a reset of the form.
function clear() {
  blank = text();
  isUsed = false;
  shown = null;
  result.hidden = true;
  announce(FILL_IN);
}

// Updates the predictions after a pause, if the panel is visible.
function schedule() {
  if (shown) showWhetherOutdated();
  else if (isManual && !call && text() !== blank) announce(`${usualWords(usual(), "One prediction usually takes")}Press Run to plot.`);
  runButton.hidden = !isManual;
  clearTimeout(timer);
  if (isVisible && !isManual) timer = setTimeout(run, PAUSE);
}

// One request to each model: the row of the form, and that row with each value of the axis. A change during a
// call is predicted after it.
async function run(isAsked = false) {
  if (!isAsked && !isUsed && text() === blank) return undefined;
  if (call) return call.isDirty = true;
  const sweep = rowsToPredict();
  if (!sweep) return undefined;
  const sent = stringify([sweep.rows, sweep.models.map(({ address }) => address)]);
  if (!isAsked && shown?.sent === sent) return undefined;
  const started = performance.now();
  const send = (signal) => Promise.all(sweep.models.map(({ address }) => predictEach(address, sweep.rows, { signal, headers: TRIED })));
  call = waitFor(waiting, send, { next: axisChoice, onCancel: cancel });
  const found = await call.response;
  if (!found) return undefined;
  const { isDirty } = call;
  call = null;
  const isSlow = performance.now() - started > 1000 * SLOW;
  const isPredicted = found.every(({ results }) => results?.some(({ problem }) => !problem));
  if (isSlow || isPredicted) isManual = isSlow;
  showFound(sweep, sent, found);
  if (isDirty) schedule();
  runButton.hidden = !isManual;
  return undefined;
}

function cancel() {
  call = null;
  isManual = true;
  runButton.hidden = false;
  announce("Cancelled. Press Run to plot.");
}

function rowsToPredict() {
  const current = row();
  if (current === undefined) return text() ? fail("The input above is not valid JSON.") : announce(FILL_IN);
  const moving = axis();
  const range = moving.choices.length ? [] : [low, high].map((input) => typedNumber(input.value));
  const problem = range.length ? rangeProblem(range) : "";
  if (problem) return fail(problem);
  const [from, to] = range.map(({ text: digits }) => Number(digits));
  const all = stops(moving, from, to, numberAt(current, moving.pointer));
  if (all.length < 2) return fail(`There are fewer than two allowed values of ${moving.label} between ${low.value} and ${high.value}.`);
  const places = spread(all, Math.floor(Number(form.dataset.bytes) / new Blob([stringify(current)]).size) - 2);
  const models = [{ title: result.dataset.title, address: form.dataset.action }];
  if (other?.value) models.push({ title: other.selectedOptions[0].textContent, address: other.value });
  const rows = [current, ...places.map(({ value }) => moved(current, moving.pointer, value))];
  return { moving, places, current, models, rows };
}

// Why the typed ends are not a range; empty if they are one.
function rangeProblem(range) {
  const names = ["From", "To"];
  const typed = [low.value.trim(), high.value.trim()];
  const wrong = range.findIndex((end) => !(end instanceof Digits));
  if (wrong >= 0) {
    return typed[wrong] ? `"${names[wrong]}" must be a number, not ${typed[wrong]}.` : `Enter a number in "${names[wrong]}".`;
  }
  const [from, to] = range.map(({ text: digits }) => Number(digits));
  return from < to ? "" : `"From" must be smaller than "To": ${typed[0]} is not smaller than ${typed[1]}.`;
}

// At most that many items, evenly spread: a request has a limit of bytes.
function spread(items, most) {
  if (items.length <= most) return items;
  const step = (items.length - 1) / Math.max(1, most - 1);
  return Array.from({ length: Math.max(1, most) }, (_, index) => items[Math.round(index * step)]);
}

function showFound(sweep, sent, found) {
  const { models, places } = sweep;
  const failed = found.findIndex(({ problem }) => problem);
  if (failed >= 0) return showProblem(found[failed].problem, models, failed);
  // The row of the form is not at a place of the axis: it may be invalid where others are valid.
  const open = found.findIndex(({ results }) => results.slice(1).every(({ problem }) => problem));
  if (open >= 0) return showProblem(found[open].results[0].problem ?? found[open].results[1].problem, models, open);
  const answers = found.map(({ results }) => results.map(({ prediction }) => prediction));
  shown = { current: sweep.current, sent, words: missing(found, places) };
  showWhetherOutdated();
  return showCurves({ ...sweep, answers });
}

// The values without a prediction, and the reason of the first.
function missing(found, places) {
  const problems = places.map((_, index) => found.map(({ results }) => results[index + 1].problem).find(Boolean));
  const open = places.filter((_, index) => problems[index]);
  if (open.length === 0) return "";
  const names = open.slice(0, MOST_NAMED).map(({ label }) => label).join(", ");
  const more = open.length > MOST_NAMED ? ` and ${count(open.length - MOST_NAMED)} more values` : "";
  return `No prediction at ${names}${more}: ${reasons(problems.find(Boolean))}`;
}

function reasons({ title, detail, errors }) {
  if (!errors?.length) return sentence(detail || title);
  const all = new Set(errors.map((each) => violationText(labelOf(each.pointer), each.detail)));
  return `${[...all].slice(0, MOST_REASONS).join("; ")}.`;
}

function showProblem(problem, models, index) {
  const model = models.length > 1 ? `${models[index].title}: ` : "";
  const title = problem.errors?.length ? "Correct the input to see predictions" : problem.title;
  fail(`${model}${title}. ${reasons(problem)}`);
}

// Shows why there is no chart for the input; one of an earlier input is greyed out.
function fail(words) {
  announce(words);
  result.classList.toggle("outdated", shown !== null);
}

function announce(words) {
  if (status.textContent !== words) status.textContent = words;
  status.classList.remove("outdated-note");
}

// The same row in another notation is not a change.
function showWhetherOutdated() {
  const isOutdated = !same(shown.current, row());
  result.classList.toggle("outdated", isOutdated);
  if (isOutdated && !isManual) return;
  announce(isOutdated ? "The input has changed. Press Run to update." : shown.words);
  status.classList.toggle("outdated-note", isOutdated);
}
