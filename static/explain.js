// Explains the prediction shown: what each field adds to it, as a table with bars, and in sentences.

import { draw } from "./answer.js";
import { postRows } from "./api.js";
import { Digits, stringify } from "./json.js";
import { leafText } from "./leaves.js";
import { percent, pointsBetween, rounded, signed } from "./numbers.js";
import { checkModel } from "./replaced.js";
import { element, readable, scalar, sentence, step } from "./values.js";
import { waitFor } from "./waiting.js";

const MOST_EFFECTS = 8;
const MOST_REASONS = 3;
const SVG = "http://www.w3.org/2000/svg";
// Units of the bars' drawing, and the least width of a bar in them.
const WIDTH = 1000;
const THIN = 6;

const box = document.getElementById("why");
const button = document.getElementById("why-show");
const result = document.getElementById("why-result");
const waiting = document.getElementById("why-waiting");
const choice = document.getElementById("why-output");
const labels = box ? JSON.parse(box.dataset.labels) : {};
const outputs = box ? JSON.parse(document.getElementById("answer").dataset.labels) : {};

const REPLACED = { title: "The model has been replaced since this prediction", detail: "press Predict to update it first" };

let body = null; // the request whose prediction is shown
let identity = null; // of the model that made it
let call = null; // the running one
let usual = NaN; // seconds of the last explanation

button?.addEventListener("click", explain);
choice?.addEventListener("change", () => {
  const isOpen = call !== null || button.ariaExpanded === "true";
  cancel();
  if (isOpen) explain();
});

// Offers to explain the prediction that a model made for a request body; none if it is null.
export function offerExplanation(sent, madeBy) {
  if (!box || (sent === body && madeBy === identity)) return;
  [body, identity] = [sent, madeBy];
  cancel();
  box.hidden = body === null;
}

// The largest effects as columns of a table: {why_1: "savings unknown: +8.1 points"}, with the labels of the
// form if `isLabelled`.
export function reasonsOf(explanation, isLabelled = false) {
  // An author's endpoint returns a list for a list of one row.
  if (isOwn(explanation)) return { why: stringify([explanation].flat()[0]) };
  const { fields, explains } = explanation;
  const isShare = isLabelled ? isShareOf(explanation) : explains !== "number";
  const largest = fields.filter(({ effect }) => Number(effect.text)).slice(0, MOST_REASONS);
  return Object.fromEntries(
    largest.map(({ name, value, effect }, index) => {
      const { label = name, names, unit } = (isLabelled && labels[`/${step(name)}`]) || {};
      const own = value === null ? " unknown" : name === value ? "" : ` ${leafText(value, { names, unit })}`;
      return [`why_${index + 1}`, `${label}${own}: ${gain(Number(effect.text), isShare)}`];
    }),
  );
}

// Whether the explained number is shown in per cent, as in the prediction.
export function isShareOf({ explains, output }) {
  return explains !== "number" || Boolean(outputs[output]?.share);
}

// Whether an author's endpoint returned an explanation: JSON of any form.
export function isOwn(explanation) {
  return !explanation?.fields || !explanation.explains;
}

// The text of a label of an output, as in the prediction.
export function labelText(label, output) {
  return leafText(label, outputs[output] ?? {});
}

// The address that explains the output selected in `select`, which is null if there is only one.
export function addressOf(address, select, className = null) {
  const chosen = { class: className, output: select?.value };
  const given = Object.entries(chosen).filter(([, value]) => value);
  return given.length ? `${address}?${new URLSearchParams(given)}` : address;
}

// A sentence about the inputs that were not replaced, with the labels of the form; empty if there are none.
export function heldText(held) {
  const names = held.map((name) => labels[`/${step(name)}`]?.label ?? readable(name));
  return names.length ? ` Not replaced: ${names.join(", ")}.` : "";
}

async function explain() {
  if (call) return;
  button.ariaDisabled = "true";
  result.replaceChildren(element("p", "quiet", "Explaining …"));
  call = waitFor(waiting, (signal) => postRows(addressOf(box.dataset.action, choice), body, { signal }), {
    usual,
    next: button,
    onCancel: cancel,
  });
  const response = await call.response;
  if (!response) return;
  call = null;
  button.ariaDisabled = "false";
  button.ariaExpanded = "true";
  if (!response.problem) usual = response.milliseconds / 1000;
  const current = response.problem ? await checkModel() : response.identity;
  const problem = (current ?? identity) === identity ? response.problem : REPLACED;
  result.replaceChildren(...(problem ? [failure(problem)] : drawn(response.answer)));
  result.scrollIntoView({ block: "nearest" });
}

function cancel() {
  call?.abort();
  call = null;
  result.replaceChildren();
  button.ariaDisabled = "false";
  button.ariaExpanded = "false";
}

function failure({ title, detail }) {
  return element("p", "why-failure", `${title}. ${sentence(detail)}`);
}

function drawn(explanation) {
  if (isOwn(explanation)) return [draw(explanation, {})];
  const { fields, base, prediction } = explanation;
  const isShare = isShareOf(explanation);
  const unit = (!isShare && outputs[explanation.output]?.unit) || "";
  const show = (number) => (isShare ? percent(number) : `${rounded(new Digits(String(number)))} ${unit}`.trimEnd());
  const start = Number(base.text);
  const end = Number(prediction.text);
  const effects = fields.map((each) => ({ ...each, effect: Number(each.effect.text) }));
  const rows = withRest(effects.filter(({ effect }) => effect !== 0));
  const scale = scaleOf(start, rows);
  let at = start;
  const lines = rows.map(({ effect, ...field }) => {
    const line = [heading(field), `${gain(effect, isShare)} ${unit}`.trimEnd(), bar(at, at + effect, scale)];
    at += effect;
    return line;
  });
  const isText = explanation.method.startsWith("words");
  const typical = isText ? "No words" : "Typical";
  const title = element("p", "why-title", `${subject(explanation)}: ${typical.toLowerCase()} ${show(start)}, this one `);
  title.append(element("span", "unbroken", show(end)));
  const content = table(title, [
    [document.createTextNode(typical), show(start), bar(start, start, scale)],
    ...lines,
    [document.createTextNode("This one"), show(end), bar(end, end, scale)],
  ]);
  return [title, content, legend(), ...changeOf(explanation), note(explanation, isShare, isText)];
}

// The name of the explained output, if there are several.
function selectedName() {
  return choice?.selectedOptions[0].text;
}

function subject({ explains, class: className, label, output }) {
  const selected = selectedName();
  if (explains === "number") return selected ?? (outputs[output]?.label || "Prediction");
  const name = label === null ? className : labelText(label, output);
  if (explains === "label") return selected ? `${selected} is ${name}` : `Predictions of ${name}`;
  return selected ? `${selected}: probability of ${name}` : `Probability of ${name}`;
}

// The largest effects, and the sum of the others.
function withRest(effects) {
  if (effects.length <= MOST_EFFECTS + 1) return effects;
  const rest = effects.slice(MOST_EFFECTS);
  const effect = rest.reduce((sum, each) => sum + each.effect, 0);
  return [...effects.slice(0, MOST_EFFECTS), { name: `${rest.length} others`, effect }];
}

// From the lowest to the highest value that the bars reach.
function scaleOf(start, rows) {
  const ends = rows.reduce((all, { effect }) => [...all, all.at(-1) + effect], [start]);
  const low = Math.min(...ends);
  const span = Math.max(...ends) - low || 1;
  return (value) => ((value - low) / span) * (WIDTH - THIN);
}

function heading({ name, value }) {
  const node = element("span");
  if (value === undefined) {
    node.append(name);
    return node;
  }
  const known = labels[`/${step(name)}`];
  const label = known?.label ?? (name === value ? name : readable(name));
  node.append(element("span", "why-name", label));
  if (name === value) return node;
  node.append(" ", shown(value, known));
  return node;
}

function shown(value, known) {
  return value === null ? element("span", "nothing", "unknown") : scalar(value, known);
}

function gain(effect, isShare) {
  return isShare ? `${pointsBetween(effect)} points` : signed(effect);
}

function bar(from, to, scale) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} 10`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("class", "why-bar");
  picture.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "rect");
  const [left, right] = [scale(Math.min(from, to)), scale(Math.max(from, to))];
  shape.setAttribute("x", left);
  shape.setAttribute("width", Math.max(THIN, right - left));
  shape.setAttribute("height", 10);
  shape.setAttribute("class", to > from ? "why-up" : to < from ? "why-down" : "why-end");
  picture.append(shape);
  return picture;
}

function table(title, rows) {
  const content = element("table", "table table-sm why-table");
  title.id = "why-title";
  content.setAttribute("aria-labelledby", title.id);
  const lines = content.createTBody();
  for (const [name, effect, picture] of rows) {
    const line = lines.insertRow();
    const head = element("th");
    head.scope = "row";
    head.append(name);
    line.append(head);
    const number = line.insertCell();
    number.className = "number at-end";
    number.append(effect);
    line.insertCell().append(picture);
  }
  return content;
}

// What the bars mean, for those who see them: the numbers have signs.
function legend() {
  const list = element("ul", "why-legend");
  list.ariaHidden = "true";
  for (const [kind, meaning] of [["why-up", "Raises it"], ["why-down", "Lowers it"]]) {
    const item = element("li");
    item.append(element("span", `why-key ${kind}`), meaning);
    list.append(item);
  }
  return list;
}

// The sentence about the smallest change of one field, if the model predicts labels from fields.
function changeOf({ change, label, method, fields, output }) {
  if (label === null || method.startsWith("words")) return [];
  const line = element("p", "why-change");
  if (change === null) {
    line.append("No tested change of a single field, within the range of the training data, changes the prediction.");
    return [line];
  }
  const known = labels[`/${step(change.name)}`];
  const own = fields.find(({ name }) => name === change.name)?.value ?? null;
  const [name, prediction] = [known?.label ?? readable(change.name), labelText(change.label, output)].map((text) => element("strong", "", text));
  line.append("With ", name, " ", shown(change.value, known), " instead of ", shown(own, known), `, ${selectedName() ?? "the prediction"} is `, prediction, ".");
  return [line];
}

function note({ standard_error: error, held, typical_rows: rows }, isShare, isText) {
  const spread = gain(Number(error.text), isShare);
  // An error that is rounded to zero has no sign.
  const accuracy = spread.startsWith("+") ? ` Estimated with ${rows.text} typical inputs, ± ${spread.slice(1)}.` : "";
  const against = isText
    ? "Each word is left out, alone and with others."
    : "Each field is replaced by values that are typical of the training data.";
  return element("p", "quiet why-note", `${against}${heldText(held)}${accuracy} These are effects in the model, not causes.`);
}
