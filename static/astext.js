// An input and its prediction as text, for a message.

import { labelOf, unitOf } from "./input.js";
import { leaves, leafText, outputNames, outputText } from "./leaves.js";

// `labels` describes the values of the prediction, see answer.js.
export function asText(row, answer, labels) {
  const title = document.querySelector("h1").textContent.trim();
  const found = leaves(answer);
  const names = outputNames(found, labels);
  const outputs = found.map((leaf, index) => `${names[index]}: ${outputText(leaf, labels)}`);
  const inputs = leaves(row).map(({ place, value }) => `${labelOf(place)}: ${leafText(value, { unit: unitOf(place) })}`);
  return [title, "", ...outputs, "", "Input", ...inputs, ""].join("\n");
}
