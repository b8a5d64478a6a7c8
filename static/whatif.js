// The panel that varies one field, and plots the predictions of one or two models.

import { draw } from "./answer.js";
import { postRows } from "./api.js";
import { colourOf, ordered } from "./classes.js";
import { plot, shownNumber, unplot } from "./chart.js";
import { form, labelOf, onChange, row } from "./input.js";
import { Digits, same, stringify } from "./json.js";
import { number as typedNumber } from "./numerals.js";
import { count } from "./numbers.js";
import { at, ends, moved, numberAt, outputs, stops, textsOf } from "./sweep.js";
import { table } from "./table.js";
import { element, numeral, readable, sentence, short, unstep } from "./values.js";

// The statuses of a model that failed or exceeded its time limit.
const FAILED = [500, 504];
// Maximum number of failed calls: enough to find a single row on which the model fails.
const MOST_FAILURES = 10;

const MOST_LINES = 8;

// The member of a packaged model's prediction with the class, the cluster or the number.
const PREDICTION = "/prediction";

const part = (name) => document.getElementById(`whatif-${name}`);
const [controls, axisChoice, low, high, other] = ["form", "axis", "low", "high", "other"].map(part);
const [status, result, now, outputChoice] = ["status", "result", "now", "output"].map(part);
const [chartBox, legendBox, tableBox] = ["chart", "legend", "table"].map(part);
const labels = JSON.parse(document.getElementById("answer").dataset.labels);

let shown = null;
let turn = 0; // the number of the last run, whose result is shown
let isTyped = false; // whether the user entered the range

if (controls) start();

function start() {
  controls.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  for (const input of [low, high]) input.addEventListener("input", () => (isTyped = true));
  axisChoice.addEventListener("change", () => {
    isTyped = false;
    suggest();
    if (shown) show();
  });
  other?.addEventListener("change", () => shown && show());
  outputChoice.addEventListener("change", drawOutput);
  part("tab").addEventListener("shown.bs.tab", drawOutput);
  onChange(() => {
    if (!isTyped) suggest();
    if (shown) showWhetherOutdated();
  });
  addEventListener("resize", () => shown && drawOutput());
  new MutationObserver(() => shown && drawOutput()).observe(document.documentElement, {
    attributeFilter: ["data-bs-theme"],
  });
  suggest();
}

function axis() {
  return JSON.parse(axisChoice.value);
}

// Suggests the range of the chosen field.
function suggest() {
  const { choices, unit, pointer } = axis();
  part("ends").hidden = choices.length > 0;
  part("unit").textContent = unit;
  const [from, to] = ends(axis(), numberAt(row(), pointer));
  low.value = from ?? "";
  high.value = to ?? "";
}

async function show() {
  const current = row();
  if (current === undefined) return announce("The input above is not valid JSON.");
  const moving = axis();
  const [from, to] = [low, high].map((input) => typedNumber(input.value));
  const isRange = from instanceof Digits && to instanceof Digits && Number(from.text) < Number(to.text);
  if (!moving.choices.length && !isRange) return announce("Enter a range: the first number must be smaller than the second.", low);
  const currentValue = numberAt(current, moving.pointer);
  const places = stops(moving, Number(from.text), Number(to.text), currentValue);
  turn += 1;
  const mine = turn;
  announce("Running …");
  const models = [{ title: result.dataset.title, address: form.dataset.action }];
  if (other?.value) models.push({ title: other.selectedOptions[0].textContent, address: other.value });
  // The current row comes first, to compare the models on the same input.
  const rows = [current, ...places.map(({ value }) => moved(current, moving.pointer, value))];
  const answers = await Promise.all(models.map(({ address }) => answersTo(address, rows)));
  if (mine !== turn) return undefined;
  const failed = answers.findIndex((each) => each.problem);
  if (failed >= 0) return showRejection(answers[failed].problem, models.length > 1 ? models[failed].title : "");
  const words = missing(answers, rows);
  shown = { moving, places, current, models, words, answers: answers.map(({ found }) => found) };
  showWhetherOutdated();
  return showResult();
}

// All predictions from one request. Rejected rows are left out, and the rest is sent again. If the model
// fails, the first row, that of the form, is sent alone: if the model fails on it too, no other call
// is made. Otherwise the rows are sent in halves to find those on which it fails, for up to MOST_FAILURES
// failures, and `reason` is the reason of the first failure.
async function answersTo(address, rows) {
  const found = rows.map(() => undefined);
  const waiting = [rows.map((_, index) => index)];
  const failures = [];
  while (waiting.length && failures.length < MOST_FAILURES) {
    const part = waiting.shift();
    const { answer, problem } = await postRows(address, stringify(part.map((index) => rows[index])));
    if (!problem) {
      part.forEach((index, place) => (found[index] = answer[place]));
    } else if (FAILED.includes(problem.status)) {
      if (part.length === 1 && part[0] === 0) return { problem };
      failures.push(problem);
      if (failures.length === 1) waiting.unshift([0], part.filter((index) => index > 0));
      else if (part.length > 1) waiting.unshift(...halves(part));
    } else {
      const rejected = rejectedPlaces(problem);
      if (rejected.size === 0 || rejected.size === rows.length) return { problem };
      const left = part.filter((_, place) => !rejected.has(place));
      if (left.length) waiting.unshift(left);
    }
  }
  const [failed] = failures;
  if (found.every((each) => each === undefined)) return { problem: failed };
  return { found, reason: failed && (failed.detail || failed.title) };
}

// The indices of the rows that a problem lists.
function rejectedPlaces({ errors = [] }) {
  const places = errors.map(({ pointer }) => /^\/(\d+)/.exec(pointer)?.[1]);
  return new Set(places.filter((place) => place !== undefined).map(Number));
}

// The number of rows without a prediction, and the reason if the model failed.
function missing(answers, rows) {
  const open = rows.filter((_, index) => answers.some(({ found }) => found[index] === undefined));
  if (open.length === 0) return "";
  const reason = answers.find((each) => each.reason)?.reason;
  const words = `${count(open.length)} of ${count(rows.length)} values have no prediction and are not shown`;
  return reason ? `${words}: ${reason}` : `${words}.`;
}

function halves(part) {
  const half = Math.ceil(part.length / 2);
  return [part.slice(0, half), part.slice(half)];
}

function showRejection({ title, detail, errors = [] }, model) {
  const reasons = new Set(
    errors.map((each) => {
      const [, pointer] = /^\/\d+(.*)$/s.exec(each.pointer) ?? [];
      return `${labelOf(pointer ?? "")}: ${each.detail}`;
    }),
  );
  const words = reasons.size ? [...reasons].slice(0, 5).join("; ") : sentence(detail);
  announce(`${model && `${model}: `}${title}. ${words}`);
}

function announce(words, at = null) {
  status.textContent = words;
  result.classList.remove("outdated");
  status.classList.remove("outdated-note");
  at?.focus();
}

// The same row in another notation is not a change.
function showWhetherOutdated() {
  const isOutdated = !same(shown.current, row());
  status.textContent = isOutdated ? "The input has changed. Press Run to update." : shown.words;
  result.classList.toggle("outdated", isOutdated);
  status.classList.toggle("outdated-note", isOutdated);
}

function showResult() {
  const { answers, models } = shown;
  const both = answers.flat().filter((answer) => answer !== undefined);
  const found = outputs(both, labels);
  result.hidden = false;
  now.hidden = models.length === 1;
  now.replaceChildren(...(models.length > 1 ? models.map(sideBySide) : []));
  const before = outputChoice.value;
  outputChoice.replaceChildren(...found.map((each) => {
    const option = element("option", "", nameOf(each.place));
    option.value = JSON.stringify(each);
    return option;
  }));
  const again = [...outputChoice.options].find((option) => option.value === before);
  if (again) again.selected = true;
  part("output-field").hidden = found.length < 2;
  drawOutput();
}

// The predictions of each model for the input of the form.
function sideBySide({ title }, index) {
  const box = element("section", "whatif-one");
  const answer = shown.answers[index][0];
  const rejection = element("p", "nothing", "This model rejects the input.");
  const body = answer === undefined ? rejection : draw(answer, index ? {} : labels);
  box.append(element("h3", "whatif-title", title), body);
  return box;
}

function drawOutput() {
  if (!shown || !part("chart").isConnected) return;
  const output = outputChoice.value ? JSON.parse(outputChoice.value) : null;
  const lines = output ? linesOf(output) : [];
  fillTable(lines, output);
  chartBox.parentElement.hidden = lines.length === 0;
  if (lines.length === 0) return unplot(chartBox, legendBox);
  if (chartBox.clientWidth === 0) return;
  const { moving, places, current } = shown;
  const isChoice = moving.choices.length > 0;
  const title = moving.unit ? `${moving.label} (${moving.unit})` : moving.label;
  chartBox.ariaLabel = `${nameOf(output.place)} over ${moving.label}. The table has the numbers.`;
  plot(chartBox, legendBox, {
    xs: places.map(({ value }, index) => (isChoice ? index : Number(value.text))),
    labels: isChoice ? places.map(({ label }) => label) : null,
    xLabel: title,
    now: isChoice ? null : numberAt(current, moving.pointer),
    inPercent: inPercent(output),
    series: lines.filter(({ rank }) => rank < MOST_LINES),
  });
}

function inPercent({ areShares, place }) {
  return areShares || Boolean(labels[place]?.share);
}

// One line for each number and model, in the order of the classes; `rank` is the number's place among
// all, the largest first.
function linesOf({ names, place, areShares, areSeveral }) {
  const { answers, models } = shown;
  const places = new Map(names);
  const inOrder = ordered(place, [...places.keys()], labels[place]?.order);
  const valuesOf = (model, name) => answers[model].slice(1).map((answer) => numberAt(answer, places.get(name)));
  const numbersOf = (name) => models.flatMap((_, model) => valuesOf(model, name));
  const largest = (name) => Math.max(...numbersOf(name).map((each) => each ?? -Infinity));
  const ranked = [...inOrder].sort((one, two) => largest(two) - largest(one));
  return inOrder.flatMap((name) =>
    models.map(({ title }, model) => {
      const words = areSeveral ? memberName(name, areShares) : nameOf(place);
      const full = models.length > 1 ? `${words} · ${title}` : words;
      const colour = colourOf(place, name);
      return { title: full, values: valuesOf(model, name), model, rank: ranked.indexOf(name), colour };
    }),
  );
}

// The name of a class or a cluster.
function memberName(name, isClass) {
  return isClass ? name || "(empty text)" : `${labels[PREDICTION]?.label ?? "Cluster"} ${name}`;
}

function fillTable(lines, output) {
  const { moving, places, answers, models, current } = shown;
  const texts = models.flatMap(({ title }, model) =>
    movingTexts(answers[model], output).map((place) => ({
      title: models.length > 1 ? `${nameOf(place)} · ${title}` : nameOf(place),
      value: (index) => at(answers[model][index + 1], place),
    })),
  );
  const rows = places.map(({ label, value }, index) => [
    moving.choices.length ? label : numeral(label, value.text),
    ...texts.map((each) => short(each.value(index))),
    ...lines.map(({ values }) => numberCell(values[index], inPercent(output))),
  ]);
  const headings = [moving.label, ...[...texts, ...lines].map(({ title }) => title)];
  table(headings, rows, { target: tableBox, isHeaded: true });
  const currentValue = at(current, moving.pointer);
  const here = places.findIndex(({ value }) => currentValue !== undefined && same(currentValue, value));
  if (here >= 0) tableBox.tBodies[0].rows[here].className = "table-now";
}

function numberCell(number, isShare) {
  return number === null ? "" : numeral(shownNumber(number, isShare), String(number));
}

// The pointers of the texts to list: the first text, and all that differ between predictions. If the chart
// shows all classes or clusters, only the predicted one.
function movingTexts(answers, output) {
  const seen = new Map();
  for (const answer of answers) {
    if (answer === undefined) continue;
    if (output?.areSeveral && numberAt(answer, PREDICTION) !== null) return [PREDICTION];
    for (const [place, text] of textsOf(answer)) seen.set(place, (seen.get(place) ?? new Set()).add(text));
  }
  return [...seen].filter(([, texts], index) => index === 0 || texts.size > 1).map(([place]) => place);
}

function nameOf(place) {
  const key = unstep(place.split("/").at(-1));
  return labels[place]?.label || (place ? readable(key) : "Prediction");
}
