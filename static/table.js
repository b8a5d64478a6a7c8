// Tables with a line of headings; what stands in them is text or nodes, and never markup.

import { element } from "./values.js";

// What scrolls when it is too wide, also by keyboard. A page may have many, even of one name: each is
// a group, and no landmark.
export function region(made, label, classes = "") {
  const box = element("div", `table-scroll ${classes}`);
  box.tabIndex = 0;
  box.role = "group";
  box.ariaLabel = label;
  box.append(made);
  return box;
}

// Fills `made` with rows of cells; the first cell of a row is its heading where `isHeaded`. Without
// headings there is no line of them.
export function table(headings, rows, { made = element("table", "table table-sm"), isHeaded } = {}) {
  made.replaceChildren();
  if (headings) made.createTHead().append(headingLine(headings));
  const body = made.createTBody();
  for (const cells of rows) {
    const line = body.insertRow();
    cells.forEach((cell, index) => {
      if (isHeaded && index === 0) line.append(rowHeading(cell));
      else line.insertCell().append(cell);
    });
  }
  return made;
}

function headingLine(headings) {
  const line = element("tr");
  for (const heading of headings) {
    const cell = element("th");
    cell.scope = "col";
    cell.append(heading);
    line.append(cell);
  }
  return line;
}

function rowHeading(content) {
  const cell = element("th", "number");
  cell.scope = "row";
  cell.append(content);
  return cell;
}
