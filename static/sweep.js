// Rows that differ in one field, and the numbers in their predictions.

import { isDistances, isShares } from "./answer.js";
import { Digits, parse, stringify } from "./json.js";
import { roundedAll } from "./numbers.js";
import { isNested, isObject, step as stepOf, unstep } from "./values.js";

const STEPS = 40;
// Maximum number of steps of the schema; a range with more gets round numbers.
const MOST_STEPS = 50;
// A range that exceeds the value in the form by this factor hides what happens near the value.
const FAR = 100;
// Steps of a slider at least.
const SLIDER_STEPS = 100;

// The values that a field takes, as [{value, label}]: the choices of its axis (app/web/pages/what_if.py), or
// numbers from `low` to `high`. They include `now`, the number in the form, if it is in the range.
export function stops(axis, low, high, now) {
  if (axis.choices.length) return axis.choices.map(([label, json]) => ({ label, value: parse(json) }));
  const numbers = [low, ...between(low, high, axis.step), high];
  if (now !== null && now > low && now < high) numbers.push(now);
  const distinct = new Set(numbers.map(clean));
  const sorted = [...distinct].filter((number) => isAllowed(number, axis)).sort((one, two) => one - two);
  const values = sorted.map((number) => new Digits(String(number)));
  const labels = roundedAll(values);
  return values.map((value, index) => ({ label: labels[index], value }));
}

// The suggested range of a number: the usual one, else that of the schema, else around the number in the form
// or in an example. It includes the number in the form.
export function ends(axis, now, example = null) {
  const [low, high] = suggested(axis, now ?? example);
  if (now === null || low === null || high === null) return [low, high];
  return [Math.min(low, now), Math.max(high, now)];
}

function suggested({ low, high, is_usual: isUsual }, number) {
  if (low !== null && high !== null && (isUsual || !isFar(low, high, number))) return [low, high];
  if (number === null) return [low, high];
  const far = Number((3 * number || 1).toPrecision(2));
  return [Math.max(Math.min(far, 0), low ?? -Infinity), Math.min(Math.max(far, 0), high ?? Infinity)];
}

// Whether a range hides what happens near the number.
export function isFar(low, high, number) {
  const size = Math.abs(number ?? 0);
  return size > 0 && high - low > FAR * size;
}

// The row with another value at a JSON Pointer; "" is the row itself.
export function moved(row, pointer, value) {
  if (pointer === "") return value;
  const [first, ...rest] = pointer.slice(1).split("/");
  const key = unstep(first);
  const members = isObject(row) ? row : {};
  const deeper = rest.length ? `/${rest.join("/")}` : "";
  return Object.fromEntries([
    ...Object.entries(members).filter(([each]) => each !== key),
    [key, moved(Object.hasOwn(members, key) ? members[key] : undefined, deeper, value)],
  ]);
}

// The value at a pointer of the row, or undefined.
export function at(row, pointer) {
  return pointer.split("/").slice(1).reduce((value, part) => {
    const key = unstep(part);
    return isNested(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }, row);
}

// The outputs that can be plotted, as [{place, areShares, areSeveral, names: [[name, place]]}]: shares first.
// Numbers that stand for classes, according to `labels`, are not plotted.
export function outputs(answers, labels) {
  const found = new Map();
  for (const answer of answers) collect(answer, "", found, labels);
  const rank = ({ areShares, areSeveral }) => (areShares ? 0 : areSeveral ? 1 : 2);
  return [...found.values()].sort((one, other) => rank(one) - rank(other));
}

// The number at a pointer of a prediction, or null.
export function numberAt(answer, place) {
  const value = at(answer, place);
  return value instanceof Digits ? Number(value.text) : null;
}

// The strings, booleans and numbers that stand for classes in a prediction, as [pointer, text].
export function textsOf(answer, labels, place = "") {
  const isClass = answer instanceof Digits && labels[place]?.class;
  if (isClass || typeof answer === "string" || typeof answer === "boolean") return [[place, stringify(answer)]];
  if (!isObject(answer)) return [];
  return Object.entries(answer).flatMap(([key, value]) => textsOf(value, labels, `${place}/${stepOf(key)}`));
}

function collect(value, place, found, labels) {
  if (value instanceof Digits) return labels[place]?.class || add(found, place, { areShares: false }, [[place, place]]);
  if (!isObject(value)) return undefined;
  const places = Object.keys(value).map((key) => [key, `${place}/${stepOf(key)}`]);
  const areShares = isShares(value);
  if (areShares || isDistances(place, value)) return add(found, place, { areShares, areSeveral: true }, places);
  return places.forEach(([key, inner]) => collect(value[key], inner, found, labels));
}

function add(found, place, kind, names) {
  const group = found.get(place) ?? { place, ...kind, names: [] };
  const known = new Set(group.names.map(([, each]) => each));
  group.names.push(...names.filter(([, each]) => !known.has(each)));
  found.set(place, group);
}

// Round numbers between two numbers, or multiples of `step`.
function between(low, high, step) {
  const isFew = step && (high - low) / step <= MOST_STEPS;
  const each = isFew ? step : roundStep(low, high, STEPS, step);
  const first = Math.ceil(low / each);
  const count = Math.max(0, Math.floor(high / each) - first + 1);
  return Array.from({ length: Math.min(count, 2 * STEPS) }, (_, index) => (first + index) * each);
}

// A round number that divides a range into about `count` parts, or a multiple of `step`.
function roundStep(low, high, count, step) {
  const rough = (high - low) / count;
  if (step) return Math.max(1, Math.ceil((rough / step) * 0.999)) * step;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
}

// The range and the step of a slider, as text: round numbers within the range of the axis.
export function sliderOf(axis, low, high) {
  const step = axis.step && (high - low) / axis.step <= 10 * SLIDER_STEPS ? axis.step : roundStep(low, high, SLIDER_STEPS, axis.step);
  const [first, last] = [Math.ceil(clean(low / step)), Math.floor(clean(high / step))];
  const min = isAllowed(first * step, axis) ? first : first + 1;
  const max = isAllowed(last * step, axis) ? last : last - 1;
  return [min * step, max * step, step].map((number) => String(clean(number)));
}

function clean(number) {
  return Number(number.toPrecision(10));
}

function isAllowed(number, { low, high, step, open_low: openLow, open_high: openHigh }) {
  if (step && Math.abs(number / step - Math.round(number / step)) > 1e-6) return false;
  return !(openLow && number <= low) && !(openHigh && number >= high);
}
