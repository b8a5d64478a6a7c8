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
// headings there is no line of them. A column of nothing but numbers is aligned at their ends.
export function table(headings, rows, { made = element("table", "table table-sm"), isHeaded } = {}) {
  made.replaceChildren();
  const width = Math.max(headings?.length ?? 0, ...rows.map((cells) => cells.length));
  const areNumbers = Array.from({ length: width }, (_, index) => isOfNumbers(rows, index));
  if (headings) made.createTHead().append(headingLine(headings, areNumbers));
  const body = made.createTBody();
  for (const cells of rows) {
    const line = body.insertRow();
    cells.forEach((cell, index) => {
      const box = isHeaded && index === 0 ? line.appendChild(rowHeading()) : line.insertCell();
      box.append(cell);
      if (areNumbers[index]) box.className = "at-end";
    });
  }
  return made;
}

// Whether a column has numbers, and beside them only cells that say nothing.
function isOfNumbers(rows, index) {
  const cells = rows.map((row) => row[index]);
  const said = cells.filter((cell) => cell && !cell.classList?.contains("nothing"));
  return said.length > 0 && said.every((cell) => cell.classList?.contains("number"));
}

function headingLine(headings, areNumbers) {
  const line = element("tr");
  headings.forEach((heading, index) => {
    const cell = element("th", areNumbers[index] ? "at-end" : "");
    cell.scope = "col";
    cell.append(heading);
    line.append(cell);
  });
  return line;
}

function rowHeading() {
  const cell = element("th");
  cell.scope = "row";
  return cell;
}
