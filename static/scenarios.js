// Inputs saved under a name in this browser only, and their predictions side by side.

import { shareOf } from "./answer.js";
import { postRows, predictEach, TRIED } from "./api.js";
import { cautionText } from "./caution.js";
import { addressOf, heldText, isOwn, isShareOf, labelText } from "./explain.js";
import { form, labelOf, row, showWhole, text, unitOf } from "./input.js";
import { Digits, parsed, same } from "./json.js";
import { leaves, leafText, outputNames, outputText } from "./leaves.js";
import { count, percent, pointsBetween, rounded, signed } from "./numbers.js";
import { violationText } from "./problems.js";
import { stored } from "./stored.js";
import { table } from "./table.js";
import { element, isObject, sentence, step } from "./values.js";
import { waitFor } from "./waiting.js";

const MOST = 12;
// Characters of the largest input that is stored.
const LARGEST = 20000;
const MOST_EFFECTS = 12;
// Differences of shares below this are not listed.
const SMALLEST_SHARE = 0.0005;

const part = (name) => document.getElementById(`scenarios-${name}`);
const [panel, saving, nameField, status] = ["panel", "form", "name", "status"].map(part);
const [waiting, box, deleteAll, whyButton] = ["waiting", "table", "delete", "why"].map(part);
const labels = JSON.parse(document.getElementById("answer").dataset.labels);

// The button that explains a prediction, on the pages of models that can be explained.
const why = document.getElementById("why");

// Items are {name, row}, with the row as text.
export const scenarios = stored(`scenarios:${panel.closest("[data-name]").dataset.name}`, isScenario);

let call = null; // the running one
let results = []; // of the scenarios shown
let identity = null; // of the model that made them

saving.addEventListener("submit", (event) => {
  event.preventDefault();
  save(nameField.value.trim());
});
whyButton.addEventListener("click", explain);
deleteAll.addEventListener("click", () => scenarios.save([]));
document.getElementById("scenarios-tab").addEventListener("shown.bs.tab", compare);
// Also by another tab of the browser, while this panel is hidden.
scenarios.onChange(() => panel.offsetParent && compare());

function save(name) {
  const written = text();
  if (!name) return announce("Enter a name for the scenario.", nameField);
  if (row() === undefined) return announce("Fill in the form first, with valid JSON if you use the JSON tab.");
  if (written.length > LARGEST) return announce(`Inputs of more than ${count(LARGEST)} characters are not stored.`);
  const others = scenarios.load();
  const place = others.findIndex((each) => each.name === name);
  const all = place < 0 ? [...others, { name, row: written }] : others.with(place, { name, row: written });
  if (all.length > MOST) return announce(`At most ${MOST} scenarios are stored. Delete one first.`);
  nameField.value = "";
  if (scenarios.save(all)) return undefined;
  return announce("This browser has no room for the scenario, or stores nothing.");
}

function isScenario({ name, row: written }) {
  return typeof name === "string" && parsed(written) !== undefined;
}

function load() {
  return scenarios.load().map(({ name, row: written }) => ({ name, row: parsed(written) }));
}

// Predicts all scenarios in one request, and shows them.
async function compare() {
  call?.abort();
  whyButton.hidden = true;
  part("why-result").hidden = true;
  const all = load();
  deleteAll.hidden = all.length === 0;
  show(all, []);
  announce("");
  if (all.length === 0) return;
  const rows = all.map((each) => each.row);
  const onCancel = () => announce("Cancelled. Open this tab again to predict.");
  const send = (signal) => predictEach(form.dataset.action, rows, { signal, headers: TRIED, isCautious: "caution" in form.dataset });
  call = waitFor(waiting, send, { next: nameField, onCancel });
  const response = await call.response;
  if (!response) return;
  if (response.problem) return announce(`${response.problem.title}. ${sentence(response.problem.detail)}`);
  ({ results, identity } = response);
  show(all, results);
  const good = results.filter((each) => !each.problem).length;
  const share = good < all.length ? `${count(good)} of ` : "";
  announce(`${share}${count(all.length)} scenario${all.length === 1 ? "" : "s"} predicted.`);
  whyButton.hidden = !why || good < 2;
}

function show(all, predicted) {
  box.parentElement.hidden = all.length === 0;
  part("empty").hidden = all.length > 0;
  part("equal").textContent = "";
  if (all.length === 0) return;
  const inputs = inputLines(all);
  const differing = inputs.filter(({ isEqual }) => !isEqual);
  const lines = [
    ...outputLines(predicted),
    ...cautionRow(predicted),
    ...problemLines(predicted),
    ...(all.length > 1 ? [] : inputs).map(({ cells }) => cells),
    ...differing.map(({ cells }) => cells),
  ];
  table(["Scenario", ...all.map(heading)], lines, { target: box, isHeaded: true });
  const equal = inputs.length - differing.length;
  const words = equal === 1 ? "1 input is" : `${count(equal)} inputs are`;
  part("equal").textContent = all.length < 2 || equal === 0 ? "" : `${words} equal and not shown.`;
}

function heading({ name, row: saved }) {
  const head = element("div", "scenario");
  head.append(element("span", "scenario-name", name));
  head.append(action("Use", `the input of ${name}`, () => showWhole(saved)));
  head.append(action("Delete", name, () => scenarios.save(scenarios.load().filter((each) => each.name !== name))));
  return head;
}

function action(words, about, act) {
  const button = element("button", "btn btn-quiet btn-sm", words);
  button.type = "button";
  button.append(element("span", "visually-hidden", ` ${about}`));
  button.addEventListener("click", () => {
    act();
    nameField.focus();
  });
  return button;
}

// A line for each value of the predictions, with its difference from the first scenario.
function outputLines(predicted) {
  const found = predicted.map(({ prediction }) => (prediction === undefined ? [] : outputLeaves(prediction)));
  const lines = placesOf(found).map((place) => found.map((values) => values.find((leaf) => leaf.place === place)));
  const names = outputNames(lines.map((line) => line.find(Boolean)), labels);
  return lines.map((line, index) => [names[index], ...line.map((leaf) => (leaf ? outputCell(leaf, line[0]) : ""))]);
}

// The values in a prediction, with `isLabel` for classes: numbers that have no difference.
function outputLeaves(prediction) {
  return leaves(prediction).map((leaf) => {
    const isLabel = Boolean(labels[leaf.place]?.class || (isObject(prediction) && shareOf(leaf.value, prediction)));
    return { ...leaf, isLabel };
  });
}

function outputCell(leaf, first) {
  const cell = element("span", "scenario-value", outputText(leaf, labels));
  const change = first && leaf !== first ? difference(leaf, first) : "";
  if (change) cell.append(" ", element("span", "scenario-change", change));
  return cell;
}

// Shares differ by percentage points.
function difference({ place, value, isShare, isLabel }, first) {
  if (isLabel || !(value instanceof Digits) || !(first.value instanceof Digits)) return "";
  const number = Number(value.text) - Number(first.value.text);
  return number === 0 ? "" : changeText(number, isShare || labels[place]?.share);
}

function changeText(number, isShare) {
  return isShare ? `${pointsBetween(number)} points` : signed(number);
}

// The cautions about the inputs of the scenarios.
function cautionRow(predicted) {
  if (!predicted.some(({ cautions }) => cautions?.length)) return [];
  const texts = predicted.map(({ cautions }) => cautionText(cautions ?? [], labelOf));
  return [["Caution", ...texts.map((text) => element("span", "scenario-caution", text))]];
}

// Why scenarios have no prediction.
function problemLines(predicted) {
  if (!predicted.some(({ problem }) => problem)) return [];
  return [["No prediction", ...predicted.map(({ problem }) => (problem ? reasonOf(problem) : ""))]];
}

function reasonOf({ detail, errors }) {
  const violations = errors?.map((each) => violationText(labelOf(each.pointer), each.detail)) ?? [];
  return violations.length ? violations.join("; ") : sentence(detail);
}

// A line for each input, and whether it is equal in all scenarios.
function inputLines(saved) {
  const found = saved.map((each) => leaves(each.row));
  return placesOf(found).map((place) => {
    const all = found.map((values) => values.find((leaf) => leaf.place === place)?.value);
    const isEqual = all.every((value) => (value === undefined) === (all[0] === undefined) && same(value ?? null, all[0] ?? null));
    return { isEqual, cells: [labelOf(place), ...all.map((value) => inputText(value, place))] };
  });
}

// Explains the prediction of each scenario that has one.
async function explain() {
  call?.abort();
  announce("Explaining …");
  const onCancel = () => announce("Cancelled.");
  call = waitFor(waiting, explainEach, { next: whyButton, onCancel });
  const response = await call.response;
  if (!response) return;
  announce(response.problem ? `${response.problem.title}. ${sentence(response.problem.detail)}` : "");
  if (response.found) showEffects(response.found);
}

// Resolves to {found}, the explanation of each scenario that has a prediction, or to {problem}.
async function explainEach(signal) {
  const found = [];
  let className = null;
  for (const { name, row: written } of scenarios.load().filter((_, index) => !results[index].problem)) {
    const { answer, problem, identity: explained } = await postRows(addressOf(why.dataset.action, part("output"), className), written, { signal });
    if (problem) return { problem };
    if (explained !== identity) return { problem: { title: "The model has been replaced since these predictions", detail: "open this tab again to update them" } };
    if (isOwn(answer)) return { problem: { title: "The explanations of this model cannot be compared", detail: "see Why? below a prediction" } };
    // The same class for all.
    className = answer.class;
    found.push({ ...answer, scenario: name });
  }
  return { found };
}

// A line for each input, or each word, whose effects differ.
function showEffects(found) {
  const { explains, class: className, label, method, output } = found[0];
  const name = label === null ? className : labelText(label, output);
  const [isShare, areWords] = [isShareOf(found[0]), method.startsWith("words")];
  const fields = [...new Set(found.flatMap((each) => each.fields).map((each) => each.name))];
  const lines = fields
    .map((field) => ({ field, effects: found.map((each) => effectOf(each, field)) }))
    .filter(({ effects }) => spread(effects) > (isShare ? SMALLEST_SHARE : 0))
    .sort((one, other) => spread(other.effects) - spread(one.effects));
  const rows = withRest(lines).map(({ field, effects }) => [
    areWords ? field : labelOf(`/${step(field)}`),
    ...effects.map((effect) => (effect === null ? "" : changeText(effect, isShare))),
  ]);
  const bases = found.map(({ base }) => (isShare ? percent(Number(base.text)) : rounded(base)));
  const haveOneBase = bases.every((base) => base === bases[0]);
  if (!haveOneBase) rows.push(["Typical", ...bases]);
  const selected = part("output")?.selectedOptions[0].text;
  const subject = explains !== "number" ? `the probability of ${name}` : "the prediction";
  const what = areWords ? `What each word adds to ${subject}.` : `What each input adds to ${subject}, compared with typical inputs.`;
  part("why-title").textContent = `${selected ? `${selected}. ` : ""}${what} ${lines.length ? "The largest differences are listed first." : "There is no difference."}`;
  const held = heldText([...new Set(found.flatMap((each) => each.held))]);
  const starts = haveOneBase ? "" : " The typical predictions differ, as other inputs are the scenario's own.";
  part("why-note").textContent = `${held}${starts}`.trim();
  table(["Effect of", ...found.map(({ scenario }) => scenario)], rows, { target: part("why-table"), isHeaded: true });
  part("why-table").parentElement.hidden = rows.length === 0;
  part("why-result").hidden = false;
}

// The lines with the largest differences, and the sum of the others.
function withRest(lines) {
  if (lines.length <= MOST_EFFECTS + 1) return lines;
  const rest = lines.slice(MOST_EFFECTS);
  const effects = rest[0].effects.map((_, at) => rest.reduce((sum, each) => sum + each.effects[at], 0));
  return [...lines.slice(0, MOST_EFFECTS), { field: `${count(rest.length)} others`, effects }];
}

// The effect of a field; null for a word that the text does not have.
function effectOf({ fields }, name) {
  const field = fields.find((each) => each.name === name);
  return field ? Number(field.effect.text) : null;
}

function spread(effects) {
  const all = effects.map((effect) => effect ?? 0);
  return Math.max(...all) - Math.min(...all);
}

function inputText(value, place) {
  if (value === undefined) return element("span", "nothing", "blank");
  return leafText(value, { unit: unitOf(place) });
}

function placesOf(found) {
  return [...new Set(found.flat().map(({ place }) => place))];
}

function announce(words, at = null) {
  status.textContent = words;
  at?.focus();
}
