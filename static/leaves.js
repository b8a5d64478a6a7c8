// The single values in a row or a prediction, with their names and texts.

import { isShares } from "./answer.js";
import { stringify } from "./json.js";
import { percent } from "./numbers.js";
import { isNested, isObject, readable, scalar, short, step, unstep, words } from "./values.js";

// The values in an object, as {place, value, isShare}. `place` is the JSON Pointer.
export function leaves(value, place = "", isShare = false) {
  if (!isObject(value)) return [{ place, value, isShare }];
  const areShares = isShares(value);
  return Object.entries(value).flatMap(([key, item]) => leaves(item, `${place}/${step(key)}`, areShares));
}

// The names of values of a prediction, those that are equal with the names of their objects: "Rich: 0".
export function outputNames(found, labels) {
  const names = found.map((leaf) => outputName(leaf, labels));
  return found.map(({ place }, index) => {
    const isTwice = names.filter((name) => name === names[index]).length > 1;
    const parent = place.slice(0, place.lastIndexOf("/"));
    return isTwice && parent ? `${outputName({ place: parent }, labels)}: ${names[index]}` : names[index];
  });
}

// The name of a value of a prediction. `labels` describes it, see answer.js.
function outputName({ place, isShare }, labels) {
  const key = unstep(place.split("/").at(-1));
  if (isShare) return key || "(empty text)";
  return labels[place]?.label || (place ? readable(key) : "Prediction");
}

// A value of a prediction for a table cell; empty for no value.
export function leafCell(leaf, labels) {
  if (!leaf) return "";
  const { place, value, isShare } = leaf;
  const known = labels[place] ?? {};
  const isLong = isNested(value) || (typeof value === "string" && !known.names);
  return isLong ? short(value) : scalar(value, { ...known, share: isShare || known.share });
}

// A value of a prediction as text, with its unit.
export function outputText({ place, value, isShare }, labels) {
  const known = labels[place] ?? {};
  return leafText(value, { ...known, share: isShare || known.share });
}

// A value as text, with its unit. `known` describes it, see `scalar` in values.js.
export function leafText(value, { names, share, unit }) {
  const text = names?.[stringify(value)] ?? (isNested(value) ? stringify(value) : plain(value, share, unit));
  return unit ? `${text} ${unit}` : text;
}

function plain(value, isShare, unit) {
  return isShare ? percent(Number(value.text)) : words(value, unit);
}
