// Renders a prediction as text, never as markup.

import { colourOf, ordered } from "./classes.js";
import { Digits, stringify } from "./json.js";
import { isSeries, lineChart } from "./linechart.js";
import { count, percent } from "./numbers.js";
import { region, table } from "./table.js";
import { element, isNested, isObject, numeral, readable, scalar, short, step, words } from "./values.js";

const MOST_BARS = 12;
// The texts of the classes of a boolean.
const YES_OR_NO = { true: "Yes", false: "No", True: "Yes", False: "No" };
// Maximum length in characters of a headline, and of one in the largest type.
const LONGEST_HEADLINE = 80;
const LARGE = 14;
const MOST_ROWS = 100;
const MOST_COLUMNS = 50;
const MOST_MEMBERS = 100;

// `labels` describes the values by JSON Pointer (app/web/pages/display/output_labels.py):
// {"/y": {"label": "Price", "unit": "EUR"}}. "*" in a pointer matches each item of a list.
export function draw(answer, labels) {
  const box = element("div", "drawn");
  box.append(shown(answer, "", labels, "Prediction"), asJson(answer));
  return box;
}

// Whether an object contains shares: numbers from 0 to 1 whose sum is 1.
export function isShares(value) {
  if (!isObject(value)) return false;
  const numbers = Object.values(value);
  // 1 and 0 without a decimal point are the labels of several outputs.
  if (numbers.length < 2 || !numbers.every((item) => item instanceof Digits && /[.e]/i.test(item.text))) return false;
  const shares = numbers.map((item) => Number(item.text));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.every((share) => share >= 0 && share <= 1) && Math.abs(total - 1) < 0.01;
}

function asJson(answer) {
  const raw = element("details", "raw");
  const text = element("pre");
  text.tabIndex = 0;
  text.append(element("code", "", stringify(answer, "  ")));
  raw.append(element("summary", "", "As JSON"), text);
  return raw;
}

// `title` is the label of the value.
function shown(value, pointer, labels, title) {
  if (!isNested(value)) return headline(value, labels[pointer]);
  if (Array.isArray(value)) return list(value, `${pointer}/*`, labels, title);
  if (isShares(value)) return bars(value, pointer, labels);
  return members(value, pointer, labels);
}

// An object: its main value first and large, then the other members.
function members(value, pointer, labels) {
  const main = pointer === "" ? mainName(value) : null;
  const isMain = ([key]) => key === main;
  const all = Object.entries(value);
  const entries = [...all.filter(isMain), ...all.filter((entry) => !isMain(entry))];
  const box = element("dl", pointer === "" ? "members" : "members members-inner");
  const shownEntries = entries.filter(([key], index) => index < MOST_MEMBERS || key === main);
  for (const [key, item] of shownEntries) {
    const place = placeOf(pointer, key, labels);
    const known = labels[place];
    const title = known?.label || readable(key);
    const body = element("dd");
    const isYesOrNo = typeof value[main] === "boolean" && isShares(item);
    if (isDistances(place, item)) body.append(distances(item, labels["/prediction"]?.label));
    else if (isYesOrNo) body.append(bars(item, place, labels, YES_OR_NO));
    else if (isNested(item)) body.append(shown(item, place, labels, title));
    else body.append(key === main ? headline(item, known, shareOf(item, value)) : scalar(item, known));
    // The panel has this title.
    const isTitle = (key === main || (pointer === "" && isNested(item))) && title === "Prediction";
    box.append(element("dt", isTitle ? "visually-hidden" : "", title), body);
  }
  if (!entries.length) return element("p", "nothing", "An empty object");
  return withRest(box, entries.length - shownEntries.length, "member");
}

// The key in `labels` for a member: its own pointer, else that of unnamed members.
function placeOf(pointer, key, labels) {
  const place = `${pointer}/${step(key)}`;
  const isUnnamed = !Object.hasOwn(labels, place) && Object.hasOwn(labels, `${pointer}/*`);
  return isUnnamed ? `${pointer}/*` : place;
}

// The main member: "is_outlier", else "prediction", else the first member if it is a string, else the only
// scalar.
function mainName(value) {
  if (typeof value.is_outlier === "boolean") return "is_outlier";
  const plain = Object.keys(value).filter((key) => !isNested(value[key]));
  if (plain.includes("prediction")) return "prediction";
  return plain.length === 1 || typeof value[plain[0]] === "string" ? plain[0] : null;
}

// `share` is the probability of the value, if the prediction contains it.
function headline(value, known, share) {
  const text = value instanceof Digits ? words(value) : String(value);
  if (known?.media || text.length > LONGEST_HEADLINE) return scalar(value, known);
  const line = element("p", text.length > LARGE ? "headline headline-long" : "headline");
  line.append(scalar(value, known));
  if (share) {
    const likely = numeral(percent(Number(share.text)), share.text);
    likely.classList.add("headline-share");
    line.append(" ", likely);
  }
  return line;
}

// The main value of a prediction as one line, with its share; the whole prediction as text without one.
export function headlineOf(answer, labels) {
  const main = isObject(answer) ? mainName(answer) : null;
  if (main === null) return isNested(answer) ? short(answer) : scalar(answer, labels[""]);
  const value = answer[main];
  if (isNested(value)) return short(value);
  const line = element("span");
  line.append(scalar(value, labels[placeOf("", main, labels)]));
  const share = shareOf(value, answer);
  if (share) line.append(" ", numeral(percent(Number(share.text)), share.text));
  return line;
}

// The share of a label in the same prediction.
export function shareOf(label, answer) {
  const name = label instanceof Digits ? label.text : String(label);
  const shares = Object.values(answer).find((each) => isShares(each) && Object.hasOwn(each, name));
  return shares?.[name];
}

// In the order of the classes; if there are many, the largest first. `texts` are other texts for some names.
function bars(value, place, labels, texts = {}) {
  const names = ordered(place, Object.keys(value), labels[place]?.order);
  const shares = names.map((name) => [name, Number(value[name].text)]);
  if (shares.length > MOST_BARS) shares.sort(([, one], [, other]) => other - one);
  return withMore(shares, (some) => barList(some, place, Math.max(...shares.map(([, share]) => share)), texts));
}

// The first items, and the others in a collapsed section.
function withMore(items, draws) {
  const box = element("div");
  box.append(draws(items.slice(0, MOST_BARS)));
  if (items.length > MOST_BARS) {
    const rest = element("details");
    const summary = element("summary", "", `${count(items.length - MOST_BARS)} more`);
    rest.append(summary, draws(items.slice(MOST_BARS)));
    box.append(rest);
  }
  return box;
}

function barList(shares, place, largest, texts) {
  const box = element("ul", "bars");
  for (const [name, share] of shares) {
    const bar = element("span", "bar");
    const fill = element("span", "bar-fill");
    fill.style.width = `${share * 100}%`;
    fill.style.background = colourOf(place, name);
    bar.append(fill);
    bar.ariaHidden = "true";
    const number = numeral(percent(share), String(share));
    number.classList.add("bar-share");
    const line = element("li", share === largest ? "bar-largest" : "");
    line.append(element("span", "bar-name", (texts[name] ?? name) || "(empty text)"), number, bar);
    box.append(line);
  }
  return box;
}

// Whether a value contains the distances to several clusters. `place` ends with the member's name.
export function isDistances(place, value) {
  const numbers = /(^|\/)distances$/.test(place) && isNested(value) ? Object.values(value) : [];
  return numbers.length > 1 && numbers.every((each) => each instanceof Digits);
}

// The distances to the clusters, the nearest first.
function distances(value, title = "Cluster") {
  const sorted = Object.entries(value).sort(([, one], [, other]) => Number(one.text) - Number(other.text));
  return withMore(sorted, (some) => {
    const box = element("ul", "distances");
    for (const [name, distance] of some) {
      const line = element("li", name === sorted[0][0] ? "nearest" : "");
      const called = element("span", "", `${title} ${name}`);
      if (name === sorted[0][0]) called.append(" ", element("span", "nearest-mark", "nearest"));
      line.append(called, scalar(distance));
      box.append(line);
    }
    return box;
  });
}

function list(items, place, labels, title) {
  if (items.length === 0) return element("p", "nothing", "An empty list");
  const shownItems = items.slice(0, MOST_ROWS);
  const names = columns(shownItems);
  const draws = names ? grid : plainList;
  const drawn = draws(shownItems, place, labels, title, names);
  const all = withRest(drawn, items.length - shownItems.length, names ? "row" : "item");
  return isSeries(items) ? series(items, all, title) : all;
}

// A line chart, and the numbers in a collapsed section.
function series(items, all, title) {
  const box = element("div");
  const numbers = element("details");
  numbers.append(element("summary", "", `${count(items.length)} numbers`), all);
  box.append(lineChart(items, title), numbers);
  return box;
}

// An element, followed by the number of items that are left out.
function withRest(drawn, rest, word) {
  if (rest <= 0) return drawn;
  const box = element("div");
  const words = rest === 1 ? `1 more ${word} is` : `${count(rest)} more ${word}s are`;
  box.append(drawn, element("p", "nothing", `${words} in the JSON below.`));
  return box;
}

// The column names of a list of objects or of lists of equal length; null for other lists.
function columns(items) {
  if (items.every((item) => Array.isArray(item) && item.length > 0 && item.length === items[0].length)) {
    return items[0].map((_, index) => String(index));
  }
  const areObjects = items.every(isObject);
  const names = areObjects ? [...new Set(items.flatMap(Object.keys))] : [];
  return names.length ? names : null;
}

// A list as a table. Columns of objects have headings, columns of lists do not.
function grid(items, place, labels, title, names) {
  const isList = Array.isArray(items[0]);
  const shownNames = names.slice(0, MOST_COLUMNS);
  const places = shownNames.map((name) => (isList ? `${place}/*` : placeOf(place, name, labels)));
  const headings = shownNames.map((name, index) => labels[places[index]]?.label || readable(name));
  const rows = items.map((item) =>
    shownNames.map((name, index) =>
      Object.hasOwn(item, name) ? within(item[name], places[index], labels, isList ? title : headings[index]) : "",
    ),
  );
  const content = region(table(isList ? null : headings, rows), title);
  return withRest(content, names.length - shownNames.length, "column");
}

function plainList(items, place, labels, title) {
  const areNumbers = items.every((item) => item instanceof Digits);
  const kind = areNumbers ? "answer-list-numbers" : "answer-list-short";
  const box = element("ol", items.some(isNested) ? "answer-list" : `answer-list ${kind}`);
  for (const item of items) {
    const line = element("li");
    line.append(within(item, place, labels, title));
    box.append(line);
  }
  return box;
}

function within(value, place, labels, title) {
  return isNested(value) ? shown(value, place, labels, title) : scalar(value, labels[place]);
}
