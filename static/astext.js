// An input and its prediction as text, for a message.

import { labelOf, unitOf } from "./input.js";
import { stringify } from "./json.js";
import { percent } from "./numbers.js";
import { isNested, isObject, readable, step, unstep, words } from "./values.js";
import { isShares } from "./answer.js";

// `labels` describes the values of the prediction, see answer.js.
export function asText(row, answer, labels) {
  const title = document.querySelector("h1").textContent.trim();
  const outputs = leaves(answer, "").map(([place, value, isShare]) => {
    const known = labels[place] ?? {};
    const key = unstep(place.split("/").at(-1));
    const name = known.label || (isShare ? key : place ? readable(key) : "Prediction");
    return line(name, known.names?.[stringify(value)] ?? text(value, isShare || known.share), known.unit);
  });
  const inputs = leaves(row, "").map(([place, value]) => line(labelOf(place), text(value), unitOf(place)));
  return [title, "", ...outputs, "", "Input", ...inputs, ""].join("\n");
}

// The values in an object, as [pointer, value, whether it is a share].
function leaves(value, place) {
  if (!isObject(value)) return [[place, value, false]];
  const areShares = isShares(value);
  return Object.entries(value).flatMap(([key, item]) =>
    leaves(item, `${place}/${step(key)}`).map(([inner, leaf, isShare]) => [inner, leaf, isShare || areShares]),
  );
}

function text(value, isShare = false) {
  if (isNested(value)) return stringify(value);
  return isShare ? percent(Number(value.text)) : words(value);
}

function line(name, value, unit) {
  return `${name}: ${value}${unit ? ` ${unit}` : ""}`;
}
