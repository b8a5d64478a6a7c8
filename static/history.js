// The last predictions, stored in this browser only.

import { headlineOf } from "./answer.js";
import { cautionText } from "./caution.js";
import { columns, csv, free, joined, save } from "./csv.js";
import { labelOf, showWhole, unitOf } from "./input.js";
import { parsed } from "./json.js";
import { addRecent } from "./recent.js";
import { scenarios } from "./scenarios.js";
import { stored } from "./stored.js";
import { table } from "./table.js";
import { element, short, step } from "./values.js";

const MOST = 50;
// Characters of the largest prediction that is stored. A picture would displace all others.
const LARGEST = 20000;
const MOST_COLUMNS = 16;
const TIME = { dateStyle: "short", timeStyle: "medium" };

const panel = document.getElementById("history");
const box = document.getElementById("history-table");
const status = document.getElementById("history-status");
const buttons = document.getElementById("history-buttons");
const labels = JSON.parse(document.getElementById("answer").dataset.labels);
const predictions = stored(`predictions:${panel.dataset.name}`, isPrediction);
const saveButton = document.getElementById("history-save");

saveButton.addEventListener("click", () => {
  save(csv(lines(predictions.load())), `${panel.dataset.name}-predictions.csv`);
});
document.getElementById("history-clear").addEventListener("click", () => {
  predictions.save([]);
  scenarios.save([]);
  status.tabIndex = -1;
  status.focus();
});
predictions.onChange(show);
scenarios.onChange(show);
show();

// Stores a prediction with its row, the newest first.
export function remember(row, { text, milliseconds, version, cautions }) {
  const at = new Date().toISOString();
  const caution = cautionText(cautions ?? [], labelOf);
  const item = { at, row, answer: text, milliseconds: Math.round(milliseconds), version, caution };
  if (row.length + text.length <= LARGEST) store([item, ...predictions.load()].slice(0, MOST));
  addRecent(panel.dataset.name);
}

function isPrediction(each) {
  const [row, answer] = [parsed(each?.row), parsed(each?.answer)];
  return row !== undefined && answer !== undefined && !Number.isNaN(Date.parse(each.at));
}

// If storage is full, the oldest are dropped.
function store(all) {
  if (!predictions.save(all) && all.length > 1) store(all.slice(0, Math.floor(all.length / 2)));
}

// The lines of the saved file: time, version, row and prediction.
function lines(all) {
  const rows = all.map(({ row, answer }) => joined(parsed(row), parsed(answer)));
  const known = columns(rows);
  const [at, version, milliseconds, caution] = ["at", "version", "milliseconds", "caution"].map((name) => free(name, known, "prediction "));
  return all.map((each, index) => ({
    [at]: each.at,
    [version]: each.version,
    [milliseconds]: each.milliseconds,
    ...(each.caution ? { [caution]: each.caution } : {}),
    ...rows[index],
  }));
}

function show() {
  const all = predictions.load();
  saveButton.hidden = all.length === 0;
  buttons.hidden = all.length === 0 && scenarios.load().length === 0;
  const count = all.length === 1 ? "prediction" : `${all.length} predictions`;
  status.textContent = all.length
    ? `Your last ${count}. This list is stored only in this browser, with at most ${MOST} predictions.`
    : "Your predictions are listed here. The list is stored only in this browser.";
  box.replaceChildren(...(all.length ? [drawn(all)] : []));
}

// A line for each prediction: its main value and time, then its input.
function drawn(all) {
  const rows = all.map(({ row }) => joined(parsed(row), {}));
  const names = columns(rows).slice(0, MOST_COLUMNS);
  const places = names.map((name) => `/${step(name)}`);
  const [headings, units] = [places.map(labelOf), places.map(unitOf)];
  const lines = all.map((prediction, index) => {
    const time = element("time", "", new Date(prediction.at).toLocaleString([], TIME));
    time.dateTime = prediction.at;
    const title = element("div", "history-title");
    title.append(headlineOf(parsed(prediction.answer), labels), time);
    if (prediction.caution) title.append(element("span", "history-caution", `Caution: ${prediction.caution}`));
    return [title, again(prediction, time.textContent), ...names.map((name, column) => short(rows[index][name], units[column]))];
  });
  const hidden = element("span", "visually-hidden", "Use again");
  const drawnTable = table(["Prediction", hidden, ...headings], lines, { isHeaded: true });
  for (const line of drawnTable.tBodies[0].rows) {
    headings.forEach((heading, index) => (line.cells[index + 2].dataset.label = heading));
  }
  return drawnTable;
}

function again({ row }, when) {
  const button = element("button", "btn btn-quiet btn-sm", "Use again");
  button.type = "button";
  button.append(element("span", "visually-hidden", ` the input of ${when}`));
  button.addEventListener("click", () => {
    showWhole(parsed(row));
    document.getElementById("send").focus();
  });
  return button;
}
