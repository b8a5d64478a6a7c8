// The panel that moves one field, and draws how the answers of one model, or two, move with it.

import { draw } from "./answer.js";
import { ask } from "./asking.js";
import { askAll } from "./batches.js";
import { plot, shownNumber, unplot } from "./chart.js";
import { form, labelOf, onChange, row } from "./input.js";
import { Digits, number as typedNumber, same, stringify } from "./json.js";
import { at, ends, moved, numberAt, outputs, stops, textsOf } from "./sweep.js";
import { table } from "./table.js";
import { element, readable, short, unstep } from "./values.js";

// What the server says where a model itself failed, or took too long.
const FAILED = [500, 504];

const MOST_LINES = 8;

const part = (name) => document.getElementById(`whatif-${name}`);
const [controls, axisChoice, low, high, other] = ["form", "axis", "low", "high", "other"].map(part);
const [status, result, now, outputChoice] = ["status", "result", "now", "output"].map(part);
const [chartBox, legendBox, tableBox] = ["chart", "legend", "table"].map(part);
const legend = JSON.parse(document.getElementById("answer").dataset.legend);

let shown = null;
let turn = 0; // the last one that was asked for is shown
let isTyped = false; // the ends are the reader's own

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

// Writes from where to where the chosen field may go.
function suggest() {
  const { choices, unit, pointer } = axis();
  part("ends").hidden = choices.length > 0;
  part("unit").textContent = unit;
  const [from, to] = ends(axis(), numberAt(row(), pointer));
  low.value = from ?? "";
  high.value = to ?? "";
}

async function show() {
  const asked = row();
  if (asked === undefined) return say("The input above is not JSON yet.");
  const moving = axis();
  const [from, to] = [low, high].map((input) => typedNumber(input.value));
  const isRange = from instanceof Digits && to instanceof Digits && Number(from.text) < Number(to.text);
  if (!moving.choices.length && !isRange) return say("Say from which number to which larger one.", low);
  const standing = numberAt(asked, moving.pointer);
  const places = stops(moving, Number(from.text), Number(to.text), standing);
  turn += 1;
  const mine = turn;
  say("Asking …");
  const models = [{ title: result.dataset.title, address: form.dataset.action }];
  if (other?.value) models.push({ title: other.selectedOptions[0].textContent, address: other.value });
  // The row as it stands goes first, so that both models are seen side by side on the same input.
  const rows = [asked, ...places.map(({ value }) => moved(asked, moving.pointer, value))];
  const answers = await Promise.all(models.map(({ address }) => answersTo(address, rows)));
  if (mine !== turn) return undefined;
  const failed = answers.findIndex((each) => each.problem);
  if (failed >= 0) return refuse(answers[failed].problem, models.length > 1 ? models[failed].title : "");
  const refused = rows.filter((_, index) => answers.some(({ found }) => found[index] === undefined)).length;
  const words = refused ? `${refused} of ${rows.length} inputs have no answer, and are left out.` : "";
  shown = { moving, places, asked, models, words, answers: answers.map(({ found }) => found) };
  showWhetherOutdated();
  return showResult();
}

// All answers from one request; rows that the model refuses are left out, and the rest asked again.
// Where some make it fail, they are found by asking in parts.
async function answersTo(address, rows) {
  let open = rows.map((_, index) => index);
  for (;;) {
    const said = await ask(address, stringify(open.map((index) => rows[index])));
    if (!said.problem) {
      const found = rows.map(() => undefined);
      open.forEach((index, place) => (found[index] = said.answer[place]));
      return { found };
    }
    const { errors = [] } = said.problem;
    if (FAILED.includes(said.problem.status) && open.length > 1) return inParts(address, rows, open, said);
    const refused = new Set(errors.map(({ pointer }) => Number(/^\/(\d+)/.exec(pointer)?.[1])));
    const left = open.filter((_, place) => !refused.has(place));
    if (left.length === open.length || left.length === 0) return said;
    open = left;
  }
}

async function inParts(address, rows, open, said) {
  const entries = open.map((index) => ({ index, row: rows[index] }));
  const { signal } = new AbortController();
  await askAll(address, entries, { rows: rows.length, characters: Infinity }, { told() {}, signal });
  if (entries.every(({ answer }) => answer === undefined)) return said;
  const found = rows.map(() => undefined);
  for (const { index, answer } of entries) found[index] = answer;
  return { found };
}

function refuse({ title, detail, errors = [] }, model) {
  const reasons = new Set(
    errors.map((each) => {
      const [, pointer] = /^\/\d+(.*)$/s.exec(each.pointer) ?? [];
      return `${labelOf(pointer ?? "")}: ${each.detail}`;
    }),
  );
  const words = reasons.size ? [...reasons].slice(0, 5).join("; ") : (detail ?? "");
  say(`${model && `${model}: `}${title}. ${words}`);
}

function say(words, at = null) {
  status.textContent = words;
  result.classList.remove("outdated");
  at?.focus();
}

// Another way to write the same row is no change.
function showWhetherOutdated() {
  const isOutdated = !same(shown.asked, row());
  status.textContent = isOutdated ? "The input has changed since; press Show for the new one." : shown.words;
  result.classList.toggle("outdated", isOutdated);
}

function showResult() {
  const { answers, models } = shown;
  const both = answers.flat().filter((answer) => answer !== undefined);
  const found = outputs(both);
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

// What each model answers to the very input of the form.
function sideBySide({ title }, index) {
  const box = element("section", "whatif-one");
  const answer = shown.answers[index][0];
  const refusal = element("p", "nothing", "Refuses this input.");
  const body = answer === undefined ? refusal : draw(answer, index ? {} : legend);
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
  const { moving, places, asked } = shown;
  const isChoice = moving.choices.length > 0;
  const title = moving.unit ? `${moving.label} (${moving.unit})` : moving.label;
  chartBox.ariaLabel = `${nameOf(output.place)} over ${moving.label}. The table has the numbers.`;
  plot(chartBox, legendBox, {
    xs: places.map(({ value }, index) => (isChoice ? index : Number(value.text))),
    labels: isChoice ? places.map(({ label }) => label) : null,
    xLabel: title,
    now: isChoice ? null : numberAt(asked, moving.pointer),
    areShares: output.areShares,
    series: lines.filter(({ rank }) => rank < MOST_LINES),
  });
}

// One line for each number and model; `rank` is the number's place among all, the largest first.
function linesOf({ names, place, areShares }) {
  const { answers, models } = shown;
  const valuesOf = (model, at) => answers[model].slice(1).map((answer) => numberAt(answer, at));
  const numbersOf = (at) => models.flatMap((_, model) => valuesOf(model, at));
  const largest = ([, at]) => Math.max(...numbersOf(at).map((each) => each ?? -Infinity));
  const sorted = areShares ? [...names].sort((one, two) => largest(two) - largest(one)) : names;
  return sorted.flatMap(([name, at], rank) =>
    models.map(({ title }, model) => {
      const words = areShares ? name : nameOf(place);
      const full = models.length > 1 ? `${words} · ${title}` : words;
      return { title: full, values: valuesOf(model, at), model, rank, colour: rank };
    }),
  );
}

function fillTable(lines, output) {
  const { moving, places, answers, models, asked } = shown;
  const texts = models.flatMap(({ title }, model) =>
    movingTexts(answers[model]).map((place) => ({
      title: models.length > 1 ? `${nameOf(place)} · ${title}` : nameOf(place),
      value: (index) => at(answers[model][index + 1], place),
    })),
  );
  const shownAt = (number) => (number === null ? undefined : shownNumber(number, output.areShares));
  const numbers = lines.map(({ title, values }) => ({ title, value: (index) => shownAt(values[index]) }));
  const columns = [...texts, ...numbers];
  const rows = places.map(({ label }, index) => [label, ...columns.map((each) => short(each.value(index)))]);
  table([moving.label, ...columns.map(({ title }) => title)], rows, { made: tableBox, isHeaded: true });
  const standing = at(asked, moving.pointer);
  const here = places.findIndex(({ value }) => standing !== undefined && same(standing, value));
  if (here >= 0) tableBox.tBodies[0].rows[here].className = "table-now";
}

// The places of an answer's first word, and of all that are not the same in every answer.
function movingTexts(answers) {
  const said = new Map();
  for (const answer of answers) {
    if (answer === undefined) continue;
    for (const [place, text] of textsOf(answer)) said.set(place, (said.get(place) ?? new Set()).add(text));
  }
  return [...said].filter(([, texts], index) => index === 0 || texts.size > 1).map(([place]) => place);
}

function nameOf(place) {
  const key = unstep(place.split("/").at(-1));
  return legend[place]?.label || (place ? readable(key) : "Answer");
}
