// Draws whatever a model answered, as text and never as markup.

import { Digits, stringify } from "./json.js";
import { region, table } from "./table.js";
import { element, isNested, isObject, readable, scalar, step } from "./values.js";

export { element };

const MOST_BARS = 12;
const MOST_ROWS = 100;
const MOST_COLUMNS = 50;
const MOST_MEMBERS = 100;

// `legend` has the words of the output schema by JSON Pointer: {"/y": {"label": "Price", "unit": "EUR"}};
// "*" in a pointer is each item of a list.
export function draw(answer, legend) {
  const box = element("div", "drawn");
  box.append(shown(answer, "", legend, "Answer"), asJson(answer));
  return box;
}

// Numbers from 0 to 1 that make 1 together: a share for each name.
export function isShares(value) {
  if (!isObject(value)) return false;
  const numbers = Object.values(value);
  if (numbers.length < 2 || !numbers.every((item) => item instanceof Digits)) return false;
  const shares = numbers.map((item) => Number(item.text));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.every((share) => share >= 0 && share <= 1) && Math.abs(total - 1) < 0.01;
}

// Close to nothing and close to everything are not nothing and everything.
export function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(share * 100).toFixed(1)} %`;
}

function asJson(answer) {
  const raw = element("details", "raw");
  const text = element("pre");
  text.tabIndex = 0;
  text.append(element("code", "", stringify(answer, "  ")));
  raw.append(element("summary", "", "As JSON"), text);
  return raw;
}

// `title` is what it is called where it stands.
function shown(value, pointer, legend, title) {
  if (!isNested(value)) return headline(value, legend[pointer]);
  if (Array.isArray(value)) return list(value, `${pointer}/*`, legend, title);
  if (isShares(value)) return bars(value);
  return members(value, pointer, legend);
}

// An object: its main value large, the rest below, by name.
function members(value, pointer, legend) {
  const entries = Object.entries(value);
  const main = pointer === "" ? mainName(value) : null;
  const box = element("dl", pointer === "" ? "members" : "members members-inner");
  const shownEntries = entries.filter(([key], index) => index < MOST_MEMBERS || key === main);
  for (const [key, item] of shownEntries) {
    const place = placeOf(pointer, key, legend);
    const known = legend[place];
    const title = known?.label || readable(key);
    const body = element("dd");
    if (isNested(item)) body.append(shown(item, place, legend, title));
    else body.append(key === main ? headline(item, known) : scalar(item, known));
    box.append(element("dt", "", title), body);
  }
  if (!entries.length) return element("p", "nothing", "An empty object");
  return withRest(box, entries.length - shownEntries.length, "member");
}

// Where the legend tells of a member: by its name, or as one of those without.
function placeOf(pointer, key, legend) {
  const place = `${pointer}/${step(key)}`;
  return Object.hasOwn(legend, place) ? place : `${pointer}/*`;
}

// The member that is the answer itself: the prediction, a first word, or the only plain value.
function mainName(value) {
  const plain = Object.keys(value).filter((key) => !isNested(value[key]));
  if (plain.includes("prediction")) return "prediction";
  return plain.length === 1 || typeof value[plain[0]] === "string" ? plain[0] : null;
}

function headline(value, known) {
  const line = element("p", known?.media || String(value).length > 80 ? "" : "headline");
  line.append(scalar(value, known));
  return line;
}

function bars(value) {
  const box = element("div");
  const sorted = Object.entries(value)
    .map(([name, share]) => [name, Number(share.text)])
    .sort(([, one], [, other]) => other - one);
  box.append(barList(sorted.slice(0, MOST_BARS)));
  if (sorted.length > MOST_BARS) {
    const rest = element("details");
    const summary = element("summary", "", `${sorted.length - MOST_BARS} more`);
    rest.append(summary, barList(sorted.slice(MOST_BARS)));
    box.append(rest);
  }
  return box;
}

function barList(shares) {
  const box = element("ul", "bars");
  for (const [name, share] of shares) {
    const bar = element("span", "bar");
    const fill = element("span", "bar-fill");
    fill.style.width = `${share * 100}%`;
    bar.append(fill);
    bar.ariaHidden = "true";
    const number = element("span", "bar-share number", percent(share));
    number.title = String(share);
    const line = element("li");
    line.append(element("span", "bar-name", name || "(empty text)"), number, bar);
    box.append(line);
  }
  return box;
}

function list(items, place, legend, title) {
  if (items.length === 0) return element("p", "nothing", "An empty list");
  const shownItems = items.slice(0, MOST_ROWS);
  const names = columns(shownItems);
  const draws = names ? grid : plainList;
  const drawn = draws(shownItems, place, legend, title, names);
  return withRest(drawn, items.length - shownItems.length, names ? "row" : "item");
}

// What is drawn, and how many more there are.
function withRest(drawn, rest, word) {
  if (rest <= 0) return drawn;
  const box = element("div");
  const words = rest === 1 ? `1 more ${word} is` : `${rest.toLocaleString("en")} more ${word}s are`;
  box.append(drawn, element("p", "nothing", `${words} in the JSON below.`));
  return box;
}

// The columns of a list that is a table: of objects, or of lists of one length.
function columns(items) {
  if (items.every((item) => Array.isArray(item) && item.length > 0 && item.length === items[0].length)) {
    return items[0].map((_, index) => String(index));
  }
  const areObjects = items.every(isObject);
  const names = areObjects ? [...new Set(items.flatMap(Object.keys))] : [];
  return names.length ? names : null;
}

// A list as a table. Objects have their columns by name, lists by their places.
function grid(items, place, legend, title, names) {
  const isList = Array.isArray(items[0]);
  const shownNames = names.slice(0, MOST_COLUMNS);
  const places = shownNames.map((name) => (isList ? `${place}/*` : placeOf(place, name, legend)));
  const headings = shownNames.map((name, index) => legend[places[index]]?.label || readable(name));
  const rows = items.map((item) =>
    shownNames.map((name, index) =>
      Object.hasOwn(item, name) ? within(item[name], places[index], legend, isList ? title : headings[index]) : "",
    ),
  );
  const made = region(table(isList ? null : headings, rows), title);
  return withRest(made, names.length - shownNames.length, "column");
}

function plainList(items, place, legend, title) {
  const box = element("ol", items.some(isNested) ? "answer-list" : "answer-list answer-list-short");
  for (const item of items) {
    const line = element("li");
    line.append(within(item, place, legend, title));
    box.append(line);
  }
  return box;
}

function within(value, place, legend, title) {
  return isNested(value) ? shown(value, place, legend, title) : scalar(value, legend[place]);
}
