// The predictions of the What if panel, as a chart and a table.

import { draw } from "./answer.js";
import { plot, shownNumber, unplot } from "./chart.js";
import { colourOf, ordered } from "./classes.js";
import { same, stringify } from "./json.js";
import { at, numberAt, outputs, textsOf } from "./sweep.js";
import { table } from "./table.js";
import { element, numeral, readable, short, unstep } from "./values.js";

const MOST_LINES = 8;

// The member of a packaged model's prediction with the class, the cluster or the number.
const PREDICTION = "/prediction";

const part = (name) => document.getElementById(`whatif-${name}`);
const [result, now, outputChoice] = ["result", "now", "output"].map(part);
const [chartBox, legendBox, tableBox] = ["chart", "legend", "table"].map(part);
const labels = JSON.parse(document.getElementById("answer").dataset.labels);

let shown = null;

// Shows {moving, places, current, models, answers}: the axis, its values, the row of the form, the models, and
// for each model its predictions for the row of the form and at each value, undefined if there is none.
export function showCurves(curves) {
  shown = curves;
  const { answers, models } = curves;
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
  drawCurves();
}

// Draws the same predictions again, for example after a change of the output, the width or the theme.
export function drawCurves() {
  if (!shown) return;
  const output = outputChoice.value ? JSON.parse(outputChoice.value) : null;
  const lines = output ? linesOf(output) : [];
  fillTable(lines, output);
  chartBox.parentElement.hidden = lines.length === 0;
  // Without a chart, the table is open.
  if (lines.length === 0) tableBox.closest("details").open = true;
  if (lines.length === 0) return unplot(chartBox, legendBox);
  if (chartBox.clientWidth === 0) return;
  const { moving, places, current } = shown;
  const isChoice = moving.choices.length > 0;
  const title = moving.unit ? `${moving.label} (${moving.unit})` : moving.label;
  plot(chartBox, legendBox, {
    xs: places.map(({ value }, index) => (isChoice ? index : Number(value.text))),
    labels: isChoice ? places.map(({ label }) => label) : null,
    texts: places.map(({ label }) => `${moving.label}: ${label}`),
    xLabel: title,
    now: isChoice ? indexOfNow() : numberAt(current, moving.pointer),
    inPercent: inPercent(output),
    series: lines.filter(({ rank }) => rank < MOST_LINES),
  });
}

// The predictions of each model for the input of the form.
function sideBySide({ title }, index) {
  const box = element("section", "whatif-one");
  const answer = shown.answers[index][0];
  const rejection = element("p", "nothing", "No prediction for this input.");
  const body = answer === undefined ? rejection : draw(answer, index ? {} : labels);
  box.append(element("h3", "whatif-title", title), body);
  return box;
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
  const valuesOf = (model, name) => answers[model].map((answer) => numberAt(answer, places.get(name)));
  const numbersOf = (name) => models.flatMap((_, model) => valuesOf(model, name));
  const largest = (name) => Math.max(...numbersOf(name).map((each) => each ?? -Infinity));
  const ranked = [...inOrder].sort((one, two) => largest(two) - largest(one));
  const lines = inOrder.flatMap((name) =>
    models.map(({ title }, model) => {
      const words = areSeveral ? memberName(name, areShares) : nameOf(place);
      const full = models.length > 1 ? `${words} · ${title}` : words;
      const [valueNow, ...values] = valuesOf(model, name);
      return { title: full, values, valueNow, model, rank: ranked.indexOf(name), colour: colourOf(place, name) };
    }),
  );
  // Another model may have other classes.
  return lines.filter(({ values, valueNow }) => [valueNow, ...values].some((value) => value !== null));
}

// The name of a class or a cluster.
function memberName(name, isClass) {
  return isClass ? name || "(empty text)" : `${labels[PREDICTION]?.label ?? "Cluster"} ${name}`;
}

function fillTable(lines, output) {
  const { moving, places, answers, models } = shown;
  const texts = models.flatMap(({ title }, model) =>
    movingTexts(answers[model], output).map((place) => ({
      title: models.length > 1 ? `${nameOf(place)} · ${title}` : nameOf(place),
      place,
      value: (index) => at(answers[model][index + 1], place),
    })),
  );
  const ranges = rangesOf(texts, lines);
  const rows = ranges.map(([first, last]) => [
    rangeCell(places[first], places[last]),
    ...texts.map(({ place, value }) => named(place, value(first))),
    ...lines.map(({ values }) => numberCell(values[first], inPercent(output))),
  ]);
  const headings = [moving.label, ...[...texts, ...lines].map(({ title }) => title)];
  table(headings, rows, { target: tableBox, isHeaded: true });
  const here = indexOfNow();
  const now = here === null ? -1 : ranges.findIndex(([, last]) => here <= last);
  if (now >= 0) tableBox.tBodies[0].rows[now].className = "table-now";
}

// The lines of the table, as first and last index: each value, or the ranges with the same labels if no number is
// plotted.
function rangesOf(texts, lines) {
  const each = shown.places.map((_, index) => [index, index]);
  if (lines.length || shown.moving.choices.length) return each;
  const words = (index) => stringify(texts.map(({ value }) => value(index) ?? null));
  return each.filter(([index]) => index === 0 || words(index) !== words(index - 1)).map(([index], at, firsts) => [
    index,
    (firsts[at + 1]?.[0] ?? each.length) - 1,
  ]);
}

function rangeCell(first, last) {
  if (first !== last) return `${first.label} to ${last.label}`;
  return shown.moving.choices.length ? first.label : numeral(first.label, first.value.text);
}

// The index of the value in the form; null if it is none of the values.
function indexOfNow() {
  const value = at(shown.current, shown.moving.pointer);
  const index = value === undefined ? -1 : shown.places.findIndex((each) => same(value, each.value));
  return index < 0 ? null : index;
}

// The text of a label; a constant may have a title.
function named(place, value) {
  return labels[place]?.names?.[stringify(value)] ?? short(value);
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
    for (const [place, text] of textsOf(answer, labels)) seen.set(place, (seen.get(place) ?? new Set()).add(text));
  }
  return [...seen].filter(([, texts], index) => index === 0 || texts.size > 1).map(([place]) => place);
}

function nameOf(place) {
  const key = unstep(place.split("/").at(-1));
  return labels[place]?.label || (place ? readable(key) : "Prediction");
}
