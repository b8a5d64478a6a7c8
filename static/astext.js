// An input and its prediction as text, for a message.

import { cautionLines } from "./caution.js";
import { labelOf, unitOf } from "./input.js";
import { leaves, leafText, outputNames, outputText } from "./leaves.js";

// `cautions` are those about the row, `labels` describes the values of the prediction, see answer.js.
export function asText({ row, answered: answer, cautions }, labels) {
  const title = document.querySelector("h1").textContent.trim();
  const found = leaves(answer);
  const names = outputNames(found, labels);
  const outputs = found.map((leaf, index) => `${names[index]}: ${outputText(leaf, labels)}`);
  const inputs = leaves(row).map(({ place, value }) => `${labelOf(place)}: ${leafText(value, { unit: unitOf(place) })}`);
  const unusual = cautions?.length ? ["", "Caution", ...cautionLines(cautions, labelOf)] : [];
  return [title, "", ...outputs, ...unusual, "", "Input", ...inputs, ""].join("\n");
}
