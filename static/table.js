// Tables with a line of headings; what stands in them is text or nodes, and never markup.

import { element } from "./values.js";

// Fills `made` with rows of cells; the first cell of a row is its heading where `isHeaded`.
export function table(headings, rows, { made = element("table", "table table-sm"), isHeaded } = {}) {
  made.replaceChildren();
  const head = made.createTHead().insertRow();
  for (const heading of headings) {
    const cell = element("th");
    cell.scope = "col";
    cell.append(heading);
    head.append(cell);
  }
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

function rowHeading(content) {
  const cell = element("th", "number");
  cell.scope = "row";
  cell.append(content);
  return cell;
}
