// The last predictions, stored in this browser only.

import { headlineOf } from "./answer.js";
import { columns, csv, free, joined, save } from "./csv.js";
import { labelOf, showWhole } from "./input.js";
import { parsed } from "./json.js";
import { addRecent } from "./recent.js";
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
const key = `modelhost:predictions:${panel.dataset.name}`;

document.getElementById("history-save").addEventListener("click", () => {
  save(csv(lines(load())), `${panel.dataset.name}-predictions.csv`);
});
document.getElementById("history-clear").addEventListener("click", () => {
  store([]);
  show();
  status.tabIndex = -1;
  status.focus();
});
addEventListener("storage", (event) => event.key === key && show());
show();

// Stores a prediction with its row, the newest first.
export function remember(row, { text, milliseconds, version }) {
  const at = new Date().toISOString();
  const item = { at, row, answer: text, milliseconds: Math.round(milliseconds), version };
  if (row.length + text.length <= LARGEST) store([item, ...load()].slice(0, MOST));
  addRecent(panel.dataset.name);
  show();
}

function load() {
  let all = null;
  try {
    all = JSON.parse(localStorage.getItem(key));
  } catch {
    // The browser stores nothing, or another program's value is under this key.
  }
  return Array.isArray(all) ? all.filter(isPrediction) : [];
}

function isPrediction(each) {
  const [row, answer] = [parsed(each?.row), parsed(each?.answer)];
  return row !== undefined && answer !== undefined && !Number.isNaN(Date.parse(each.at));
}

// If storage is full, the oldest are dropped.
function store(predictions) {
  try {
    if (predictions.length) localStorage.setItem(key, JSON.stringify(predictions));
    else localStorage.removeItem(key);
  } catch {
    if (predictions.length > 1) store(predictions.slice(0, Math.floor(predictions.length / 2)));
  }
}

// The lines of the saved file: time, version, row and prediction.
function lines(predictions) {
  const rows = predictions.map(({ row, answer }) => joined(parsed(row), parsed(answer)));
  const known = columns(rows);
  const [at, version, milliseconds] = ["at", "version", "milliseconds"].map((name) => free(name, known, "prediction "));
  return predictions.map((each, index) => ({
    [at]: each.at,
    [version]: each.version,
    [milliseconds]: each.milliseconds,
    ...rows[index],
  }));
}

function show() {
  const predictions = load();
  buttons.hidden = predictions.length === 0;
  const count = predictions.length === 1 ? "prediction" : `${predictions.length} predictions`;
  status.textContent = predictions.length
    ? `Your last ${count}. Predictions are stored only in this browser, at most ${MOST}.`
    : "Your predictions are listed here. They are stored only in this browser.";
  box.replaceChildren(...(predictions.length ? [drawn(predictions)] : []));
}

// A line for each prediction: its main value and time, then its input.
function drawn(predictions) {
  const rows = predictions.map(({ row }) => joined(parsed(row), {}));
  const names = columns(rows).slice(0, MOST_COLUMNS);
  const headings = names.map((name) => labelOf(`/${step(name)}`));
  const lines = predictions.map((prediction, index) => {
    const time = element("time", "", new Date(prediction.at).toLocaleString([], TIME));
    time.dateTime = prediction.at;
    const title = element("div", "history-title");
    title.append(headlineOf(parsed(prediction.answer), labels), time);
    return [title, again(prediction, time.textContent), ...names.map((name) => short(rows[index][name]))];
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
