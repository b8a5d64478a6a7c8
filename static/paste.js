// A pasted spreadsheet row fills the fields from the focused one on or, if it has a line of headings, the
// fields with these names. The server parses the cells like those of a file.

import { postRows } from "./api.js";
import { getText } from "./controls.js";
import { inner, isMember } from "./fields.js";
import { form, notifyChange } from "./input.js";
import { fill, read } from "./row.js";
import { announce } from "./undo.js";

const KINDS = ["text", "number", "datetime", "local", "choice"];

const root = form.querySelector("[data-field]");
const { address } = document.getElementById("file-panel").dataset;

form.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text/plain").replace(/[\r\n]+$/, "") ?? "";
  const fields = targets();
  const place = fields.indexOf(event.target.closest("[data-field]"));
  // In a text of several lines, a tab is a tab.
  if (place < 0 || !text.includes("\t") || event.target.localName === "textarea") return;
  event.preventDefault();
  take(text, fields, place);
});

async function take(text, fields, place) {
  const [first, ...rest] = text.split(/\r\n|\r|\n/);
  const headings = first.split("\t");
  const isHeaded = rest.length > 0 && headings.some((heading) => fields.some((one) => hasName(one, heading)));
  const names = fields.slice(place, place + headings.length).map(({ dataset }) => quoted(dataset.key));
  while (names.length < headings.length) names.push("");
  const lines = isHeaded ? text : `${names.join("\t")}\n${text}`;
  const response = await postRows(address, `sep=\t\n${lines}\n`, { type: "text/csv" });
  const [line] = response.answer?.lines ?? [];
  if (response.problem || !line?.cells) {
    return announce(`The pasted row cannot be read: ${response.problem?.detail ?? line?.problem ?? "it is empty"}.`);
  }
  const before = fields.map((field) => [field, read(field)]);
  const { filled, left } = write(response.answer.columns, line, fields);
  notifyChange();
  const notes = [
    `${filled} field${filled === 1 ? "" : "s"} filled`,
    response.answer.lines.length > 1 ? ` from the first of ${response.answer.lines.length} rows` : "",
    left.length ? `; not used: ${left.join(", ")}` : "",
  ];
  return announce(`${notes.join("")}.`, before);
}

// Writes the cells into the fields. Returns the number of filled fields, and the unused cells.
function write(columns, { cells, blank }, fields) {
  const empty = new Set(blank.map(({ text }) => Number(text)));
  const left = [];
  let filled = 0;
  columns.forEach((name, index) => {
    const field = fields.find(({ dataset }) => dataset.key === name);
    if (field) fill(field, empty.has(index) ? undefined : cells[index]);
    if (field && getText(field) !== "") filled += 1;
    else if (cells[index] !== null && cells[index] !== "") left.push(name || String(cells[index]));
  });
  return { filled, left };
}

// The visible top-level fields of a single value.
export function targets() {
  if (root.dataset.kind !== "group") return [];
  const fields = inner(root).filter((field) => isMember(field) && KINDS.includes(field.dataset.kind));
  return fields.filter((field) => !field.hidden && !field.classList.contains("filtered"));
}

function hasName({ dataset }, heading) {
  return [dataset.key, dataset.label].some((name) => normalized(name) === normalized(heading));
}

function normalized(name) {
  return name.replaceAll(/[\s_]+/g, " ").trim().toLowerCase();
}

function quoted(key) {
  return `"${key.replaceAll('"', '""')}"`;
}
