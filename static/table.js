// Tables with a row of headings. Cells contain text or nodes, never markup.

import { element } from "./values.js";

// Makes wide content scrollable, also by keyboard. It is a group, not a landmark, as a page may have several
// with the same label.
export function region(content, label, classes = "") {
  const box = element("div", `table-scroll ${classes}`);
  box.tabIndex = 0;
  box.role = "group";
  box.ariaLabel = label;
  box.append(content);
  return box;
}

// Fills `target` with rows of cells. If `isHeaded`, the first cell of each row is its heading. A column of
// numbers is right-aligned.
export function table(headings, rows, { target = element("table", "table table-sm"), isHeaded } = {}) {
  target.replaceChildren();
  const width = Math.max(headings?.length ?? 0, ...rows.map((cells) => cells.length));
  const areNumbers = Array.from({ length: width }, (_, index) => isOfNumbers(rows, index));
  if (headings) target.createTHead().append(headingLine(headings, areNumbers));
  const body = target.createTBody();
  for (const cells of rows) {
    const line = body.insertRow();
    cells.forEach((cell, index) => {
      const box = isHeaded && index === 0 ? line.appendChild(rowHeading()) : line.insertCell();
      box.append(cell);
      if (areNumbers[index]) box.className = "at-end";
    });
  }
  return target;
}

// Whether a column contains numbers and otherwise only empty cells.
function isOfNumbers(rows, index) {
  const cells = rows.map((row) => row[index]);
  const filled = cells.filter((cell) => cell && !cell.classList?.contains("nothing"));
  return filled.length > 0 && filled.every((cell) => cell.classList?.contains("number"));
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
