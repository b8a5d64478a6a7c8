// The panel that reads a CSV file or a workbook, shows its content, and predicts its rows.

import { postRows } from "./api.js";
import { explainAll, predictAll, isOpen } from "./batches.js";
import { cautionText } from "./caution.js";
import { columns, csv, flat, free, save } from "./csv.js";
import { addressOf, reasonsOf } from "./explain.js";
import { form, labelOf, nameAt, unitOf } from "./input.js";
import { jobCard } from "./job.js";
import { Digits, stringify } from "./json.js";
import { leaves, leafCell, outputNames } from "./leaves.js";
import { hasHead, headOf, isLarge, sendFile } from "./large_file.js";
import { count as grouped } from "./numbers.js";
import { region, table } from "./table.js";
import { bytes, element, sentence, short, step } from "./values.js";

const MOST_SHOWN = 50;
const FIRST = 5;
const MOST_PROBLEMS = 200;
// The columns of the saved file that are neither the file's nor the model's.
const OWN = ["line", "problem"];
// The column with the lines of the file.
const LINE = ["Line", ({ line }) => element("span", "number", String(line))];

const part = (name) => document.getElementById(`file-${name}`);
const [panel, drop, input, status] = ["panel", "drop", "input", "status"].map(part);
const [found, preview, problems, result] = ["found", "preview", "problems", "result"].map(part);
const marks = [...part("decimal").querySelectorAll("input")];
const [start, stop, saveButton, progress] = ["start", "stop", "save", "progress"].map(part);
const labels = JSON.parse(document.getElementById("answer").dataset.labels);
const limits = {
  bytes: Number(panel.dataset.bytes),
  rows: Number(panel.dataset.rows),
  jobBytes: Number(panel.dataset.jobBytes),
  // A character has at most four bytes; the rest is for the JSON around the values.
  characters: Number(panel.dataset.bytes) / 5,
};

// Only if the model can be explained.
const explainButton = part("explain");
// Only if the model has a reference profile, with which rows are compared.
const [cautionBox, reasonsBox] = ["caution", "reasons"].map(part);

let currentFile = null;
let sheet = null;
// The decimal mark that the user chose for a file that becomes a job; null for other files.
let jobDecimal = null;
let stopper = null;

input.addEventListener("change", () => input.files.length && take(input.files[0]));
for (const mark of marks) mark.addEventListener("change", () => take(currentFile, mark.value));
for (const event of ["dragenter", "dragover"]) {
  drop.addEventListener(event, (dragged) => {
    dragged.preventDefault();
    drop.classList.add("dropping");
  });
}
for (const event of ["dragleave", "drop"]) {
  drop.addEventListener(event, () => drop.classList.remove("dropping"));
}
drop.addEventListener("drop", (dropped) => {
  dropped.preventDefault();
  const [file] = dropped.dataTransfer.files;
  if (file) take(file);
});
start.addEventListener("click", () => (jobDecimal === null ? run() : runJob()));
explainButton?.addEventListener("click", explainRows);
stop.addEventListener("click", () => stopper?.abort());
saveButton.addEventListener("click", () => {
  save(csv(lines()), `${sheet.name.replace(/\.[^.]*$/, "")}-predictions.csv`);
});

// Reads a file and shows its content. The server converts the cells by the model's schema. A file chosen
// later replaces this one. `decimal` is the decimal mark if the user chose it.
async function take(file, decimal = "") {
  currentFile = file;
  stopper?.abort();
  stopper = new AbortController();
  const { signal } = stopper;
  clear(decimal);
  if (isLarge(file, limits.bytes)) return takeLarge(file, decimal, signal);
  announce(`Reading ${file.name} …`);
  const content = await file.arrayBuffer().catch(() => null);
  if (signal.aborted) return undefined;
  if (content === null) return announce(`${file.name} cannot be read.`);
  const response = await readRows(content, decimal, signal);
  if (signal.aborted) return undefined;
  input.value = "";
  if (response.problem?.status === 413) return takeLarge(file, decimal, signal);
  if (response.problem) return announce(`${file.name}: ${reason(response.problem)}`);
  sheet = { ...response.answer, name: file.name, entries: entriesOf(response.answer) };
  return showSheet();
}

function readRows(content, decimal, signal) {
  const address = `${panel.dataset.address}?decimal=${encodeURIComponent(decimal)}`;
  return postRows(address, content, { type: "text/csv", signal });
}

// Shows the columns and the first rows of a file that becomes a job, if its beginning can be read.
async function takeLarge(file, decimal, signal) {
  if (file.size > limits.jobBytes) {
    const size = `${bytes(file.size)}. The server accepts at most ${bytes(limits.jobBytes)} (JOBS_MAX_BYTES). Split the file.`;
    const off = "only a job can predict it, and this server accepts no jobs (JOBS_MAX_BYTES is 0). Choose a smaller CSV file or workbook.";
    announce(`${file.name}: ${limits.jobBytes ? size : off}`);
    input.value = "";
    return;
  }
  announce(`Reading the beginning of ${file.name} …`);
  const head = hasHead(file) ? await headOf(file) : null;
  const response = head ? await readRows(head, decimal, signal) : {};
  if (signal.aborted) return;
  input.value = "";
  if (response.problem && response.problem.status !== 413) {
    announce(`${file.name}: ${reason(response.problem)}`);
    return;
  }
  if (response.answer) {
    // The last line of the beginning may be cut.
    const lines = response.answer.lines.slice(0, -1).slice(0, FIRST);
    const entries = entriesOf({ ...response.answer, lines });
    sheet = { ...response.answer, name: file.name, entries, isBeginning: true };
    showSheet();
    problems.replaceChildren();
  }
  if (sheet && missingColumns()) return;
  jobDecimal = decimal;
  const notes = sheet ? readingNotes() : "";
  announce(`${file.name}: ${bytes(file.size)}, which the server predicts in the background.${notes}`);
  start.textContent = "Predict in the background";
  start.hidden = sheet !== null && sheet.known.length === 0;
  showColumnChoices(!start.hidden);
}

// Sends the file, and shows its job.
async function runJob() {
  stopper = new AbortController();
  const [file, { signal }] = [currentFile, stopper];
  setRunning(true);
  progress.max = 1;
  const [caution, explain] = [cautionBox, reasonsBox].map((each) => Boolean(each?.checked));
  const output = (explain && part("reasons-output")?.value) || "";
  const parameters = new URLSearchParams({ file: file.name, decimal: jobDecimal, caution, explain, output });
  const response = await sendFile(`${panel.dataset.jobs}?${parameters}`, file, {
    signal,
    showProgress(share) {
      progress.value = share;
      part("done").textContent = `Sending ${bytes(file.size)}: ${Math.floor(100 * share)} %`;
    },
  });
  if (file !== currentFile) return;
  setRunning(false);
  const { answer, problem } = response;
  start.hidden = Boolean(answer);
  if (problem) {
    announce(problem.isStopped ? `${file.name} was not sent.` : `${file.name}: ${reason(problem)}`);
    return;
  }
  announce(`${file.name} was sent.`);
  preview.replaceChildren();
  found.replaceChildren();
  part("decimal").hidden = true;
  showColumnChoices(false);
  const link = element("a", "", "All jobs");
  link.href = panel.dataset.list;
  const card = jobCard(answer, { onRemoved: () => result.replaceChildren(link) });
  result.replaceChildren(card, link);
}

// The lines with their cells by the names of the columns: those of the row, and the others.
function entriesOf({ columns: names, known, lines }) {
  const inRow = new Set(known);
  return lines.map(({ line: at, cells: values, blank, problem }) => {
    const absent = new Set(blank.map(({ text }) => Number(text)));
    const named = (values ?? [])
      .map((value, place) => [names[place], value])
      .filter(([name], place) => name && !absent.has(place));
    const row = Object.fromEntries(named.filter(([name]) => inRow.has(name)));
    const others = Object.fromEntries(named.filter(([name]) => !inRow.has(name)));
    return { line: Number(at.text), row: values && row, others, problem };
  });
}

function showSheet() {
  const { name, entries, known } = sheet;
  const good = entries.filter(isOpen);
  announce(`${name}: ${missingColumns() || `${count(entries.length, "row")}.`}${readingNotes()}`);
  part("decimal").hidden = sheet.encoding === null;
  for (const mark of marks) mark.checked = mark.value === sheet.decimal;
  found.replaceChildren(...columnsFound());
  const first = good.slice(0, FIRST);
  const title = element("h3", "", `The first ${count(first.length, "row")}`);
  preview.replaceChildren(...(first.length ? [title, tableOf(first, inputColumns(), "The first rows")] : []));
  start.textContent = `Predict ${count(good.length, "row")}`;
  start.hidden = good.length === 0 || known.length === 0 || missingColumns() !== "";
  showProblems();
}

// Why no row is valid, as the API words it; empty if each required column is there.
function missingColumns() {
  const names = Object.entries(sheet.missing).filter(([, isRequired]) => isRequired);
  const reasons = names.map(([name]) => `the file must have a column ${stringify(name)}`);
  return reasons.length ? sentence(reasons.join("; ")) : "";
}

// Notes on how the file was read.
function readingNotes() {
  const { encoding, sheet: title, decimal, entries, isBeginning } = sheet;
  const notes = [
    entries.length || isBeginning ? "" : "The file has no rows below the header.",
    title ? `Read from the sheet "${title}".` : "",
    encoding === null || encoding.startsWith("utf") ? "" : `Read as ${encoding}. If letters are wrong, save the file as UTF-8.`,
    decimal === null ? "Numbers such as 52.000 are ambiguous. Choose below how decimals are written." : "",
  ];
  return notes.filter(Boolean).map((note) => ` ${note}`).join("");
}

// The reason of a problem, without its title if it concerns the file itself.
function reason({ type, title, detail, errors }) {
  const ofFile = errors?.[0]?.detail ?? (type?.endsWith("#unreadable-file") ? detail : "");
  return ofFile ? sentence(ofFile) : `${title}. ${sentence(detail)}`;
}

function columnsFound() {
  const missing = Object.entries(sheet.missing);
  const needed = missing.filter(([, isRequired]) => isRequired).map(([name]) => name);
  const others = missing.filter(([, isRequired]) => !isRequired).map(([name]) => name);
  return [
    facts("Matched", sheet.known, "columns-match"),
    facts("Missing (required)", needed, "columns-needed"),
    facts("Missing (optional)", others, ""),
    facts("Not used by the model (kept in the result)", sheet.unknown, ""),
  ].filter(Boolean);
}

function facts(title, names, classes) {
  if (!names.length) return null;
  const box = element("div", `columns-found ${classes}`);
  const list = element("ul");
  for (const name of names) list.append(element("li", "", name));
  box.append(element("h3", "", `${title} (${names.length})`), list);
  return box;
}

async function run() {
  stopper = new AbortController();
  const { signal } = stopper;
  const mine = sheet;
  const total = mine.entries.filter(({ row }) => row !== null).length;
  setRunning(true);
  const ended = await predictAll(form.dataset.action, mine.entries, limits, {
    signal,
    isCautious: "caution" in form.dataset,
    showProgress(words) {
      if (mine !== sheet) return;
      const done = mine.entries.filter((entry) => entry.row !== null && !isOpen(entry)).length;
      progress.max = total;
      progress.value = done;
      progress.textContent = `${grouped(done)} of ${grouped(total)}`;
      part("done").textContent = words || `${grouped(done)} of ${grouped(total)} rows`;
    },
  });
  if (mine !== sheet) return; // another file was chosen meanwhile
  const hadFocus = document.activeElement === stop;
  setRunning(false);
  showResult(ended, hadFocus);
}

// Adds the reasons for each prediction to the result.
async function explainRows() {
  stopper = new AbortController();
  const { signal } = stopper;
  const mine = sheet;
  const good = mine.entries.filter(({ answer }) => answer !== undefined);
  setRunning(true);
  const showProgress = (words) => {
    const done = good.filter(({ reasons }) => reasons).length;
    progress.max = good.length;
    progress.value = done;
    part("done").textContent = words || `${grouped(done)} of ${grouped(good.length)} rows explained`;
  };
  showProgress("");
  const reasons = (answer) => ({ saved: reasonsOf(answer), shown: Object.values(reasonsOf(answer, true)) });
  const ended = await explainAll(addressOf(explainButton.dataset.action, part("output")), good, reasons, { showProgress, signal });
  if (mine !== sheet) return; // another file was chosen meanwhile
  const hadFocus = document.activeElement === stop;
  setRunning(false);
  showResult(ended, hadFocus);
}

function showResult(ended, hadFocus) {
  const good = sheet.entries.filter(({ answer }) => answer !== undefined);
  const bad = sheet.entries.filter(({ problem }) => problem);
  const cautioned = good.filter(({ cautions }) => cautions.length);
  const open = sheet.entries.filter(isOpen);
  const parts = [
    `${count(good.length, "row")} predicted`,
    bad.length ? `${count(bad.length, "row")} with errors` : "",
    cautioned.length ? `${count(cautioned.length, "row")} with cautions` : "",
    open.length ? `${count(open.length, "row")} remaining` : "",
  ];
  const why = ended && !ended.isStopped ? ` ${ended.title}. ${sentence(ended.detail)}` : "";
  announce(`${sheet.name}: ${parts.filter(Boolean).join(", ")}.${why}`);
  start.hidden = open.length === 0;
  start.textContent = `Continue with ${count(open.length, "row")}`;
  if (explainButton) explainButton.hidden = good.every(({ reasons }) => reasons);
  preview.replaceChildren();
  const shown = good.slice(0, MOST_SHOWN);
  const isCut = good.length > shown.length;
  const words = isCut ? `The first ${shown.length} of ${grouped(good.length)} predictions` : "Predictions";
  const title = element("h3", "", words);
  result.replaceChildren(...(shown.length ? [title, tableOf(shown, resultColumns(shown), "Predictions")] : []));
  showProblems();
  if (hadFocus) (saveButton.hidden ? start : saveButton).focus();
}

function showProblems() {
  const { entries } = sheet;
  const bad = entries.filter(({ problem }) => problem);
  const hasResult = entries.some(({ answer }) => answer !== undefined);
  // Without a prediction, the errors are the result once no row is left to predict.
  saveButton.hidden = !hasResult && (!bad.length || sheet.isBeginning || entries.some(isOpen));
  saveButton.textContent = hasResult ? "Save the result as CSV" : "Save the rows with errors as CSV";
  if (!bad.length) return problems.replaceChildren();
  const rows = bad.slice(0, MOST_PROBLEMS);
  const reasons = ["Reason", ({ problem, labelled }) => element("span", "as-typed file-cell-wide", labelled ?? problem)];
  const title = `${count(bad.length, "row")} with errors`;
  const more = bad.length - rows.length;
  const rest = more ? [element("p", "quiet", `${grouped(more)} more${saveButton.hidden ? "" : " are in the saved file"}.`)] : [];
  return problems.replaceChildren(element("h3", "", title), tableOf(rows, [LINE, reasons], title), ...rest);
}

// The lines of the saved file: line number, cells, and prediction or problem. The columns have the names of the result
// of a job, in which those of the file give way.
function lines() {
  const extra = sheet.entries.map(extras);
  const given = columns(extra);
  const added = sheet.entries.map((entry, index) => ({ ...members(entry, given), ...extra[index] }));
  const model = columns(added);
  const blank = Object.fromEntries(model.map((name) => [name, undefined]));
  const taken = [...OWN, ...model];
  const names = new Map();
  for (const name of sheet.columns) {
    names.set(name, kept(name, taken));
    taken.push(names.get(name));
  }
  return sheet.entries.map((entry, index) => ({
    line: new Digits(String(entry.line)),
    ...Object.fromEntries(Object.entries(cells(entry)).map(([name, value]) => [names.get(name), value])),
    ...blank,
    ...added[index],
    problem: entry.problem || undefined,
  }));
}

// The columns with the reasons and the cautions of a line.
function extras({ answer, reasons, cautions }) {
  if (answer === undefined) return {};
  return { ...reasons?.saved, ...(cautions.length ? { caution: cautionText(cautions, nameAt) } : {}) };
}

// The columns of the prediction of a line. In all lines, those with the names of extra columns give way to these.
function members({ answer }, given) {
  if (answer === undefined) return {};
  const apart = (name) => (given.includes(name.replace(/^(model )+/, "")) ? `model ${name}` : name);
  return Object.fromEntries(Object.entries(flat(answer)).map(([name, value]) => [free(apart(name), OWN, "model "), value]));
}

// The name of a column of the file: followed by "(file)" if it is taken.
function kept(name, taken) {
  return taken.includes(name) ? kept(`${name} (file)`, taken) : name;
}

// The columns of a table of predictions, as [heading, function that returns the cell of an entry]: first the
// prediction, its cautions and reasons, then the columns of the file.
function resultColumns(entries) {
  const found = entries.flatMap(({ answer }) => leaves(answer));
  const first = [...new Map(found.map((leaf) => [leaf.place, leaf])).values()];
  const names = outputNames(first, labels);
  const predicted = first.map((leaf, index) => [
    names[index],
    ({ answer }) => leafCell(leaves(answer).find(({ place }) => place === leaf.place), labels),
  ]);
  const cautioned = ["Caution", ({ cautions }) => element("span", cautions.length ? "file-cell-wide" : "", cautionText(cautions, labelOf))];
  const most = Math.max(...entries.map(({ reasons }) => reasons?.shown.length ?? 0));
  const why = Array.from({ length: most }, (_, index) => [
    `Why ${index + 1}`,
    ({ reasons }) => element("span", "unbroken", reasons?.shown[index] ?? ""),
  ]);
  const isCautioned = entries.some(({ cautions }) => cautions.length);
  return [LINE, ...predicted, ...(isCautioned ? [cautioned] : []), ...why, ...inputColumns()];
}

// The columns of the file, the model's own with their labels in the form.
function inputColumns() {
  const known = new Set(sheet.known);
  return sheet.columns.filter(Boolean).map((name) => {
    const place = known.has(name) ? `/${step(name)}` : null;
    return [place ? labelOf(place) : name, (entry) => short(cells(entry)[name], place ? unitOf(place) : "")];
  });
}

// The cells of a line, in the order of the file's columns.
function cells({ row, others }) {
  const all = { ...others, ...row };
  const names = sheet.columns.filter((name) => Object.hasOwn(all, name));
  return Object.fromEntries(names.map((name) => [name, all[name]]));
}

function tableOf(entries, shown, label) {
  const rows = entries.map((entry) => shown.map(([, cellOf]) => cellOf(entry)));
  return region(table(shown.map(([heading]) => heading), rows), label, "file-table");
}

function setRunning(isRunning) {
  start.hidden = isRunning;
  stop.hidden = !isRunning;
  part("running").hidden = !isRunning;
  if (isRunning) {
    for (const button of [saveButton, explainButton]) if (button) button.hidden = true;
    stop.focus();
  }
}

function clear(decimal) {
  [sheet, jobDecimal] = [null, null];
  // The choice of the decimal mark keeps the focus.
  part("decimal").hidden = !decimal;
  showColumnChoices(false);
  for (const box of [found, preview, problems, result]) box.replaceChildren();
  for (const button of [start, stop, saveButton, explainButton]) if (button) button.hidden = true;
  part("running").hidden = true;
}

function showColumnChoices(isShown) {
  if (cautionBox) part("caution-choice").hidden = !isShown;
  if (reasonsBox) part("reasons-choice").hidden = !isShown;
}

function announce(words) {
  status.textContent = words;
}

function count(number, name) {
  return `${grouped(number)} ${name}${number === 1 ? "" : "s"}`;
}
