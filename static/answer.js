// Draws whatever a model answered, as text and never as markup.

import { Digits, stringify } from "./json.js";

const MOST_BARS = 12;
const MOST_ROWS = 100;
const DIGITS = 6;

// `labels` has the words of the output schema by JSON Pointer: {"/y": {"label": "Price", "unit": "EUR"}}.
export function draw(answer, labels) {
  const box = element("div", "drawn");
  box.append(shown(answer, "", labels));
  const raw = element("details", "raw");
  const code = element("code", "", stringify(answer, "  "));
  const text = element("pre");
  text.tabIndex = 0;
  text.append(code);
  raw.append(element("summary", "", "As JSON"), text);
  box.append(raw);
  return box;
}

export function element(name, classes = "", text = "") {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text) made.textContent = text;
  return made;
}

function shown(value, pointer, labels) {
  if (!isNested(value)) return headline(value, labels[pointer]);
  if (Array.isArray(value)) return list(value, pointer, labels);
  if (isShares(value)) return bars(value);
  return members(value, pointer, labels);
}

// An object: its main value large, the rest below, by name.
function members(value, pointer, labels) {
  const entries = Object.entries(value);
  const main = pointer === "" ? mainName(value) : null;
  const box = element("dl", pointer === "" ? "members" : "members members-inner");
  for (const [key, item] of entries) {
    const place = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const known = labels[place];
    const name = element("dt", "", known?.label || readable(key));
    const body = element("dd");
    if (isNested(item)) body.append(shown(item, place, labels));
    else body.append(key === main ? headline(item, known) : scalar(item, known));
    box.append(name, body);
  }
  return entries.length ? box : element("p", "nothing", "An empty object");
}

// The member that is the answer itself: the prediction, a first word, or the only plain value.
function mainName(value) {
  const plain = Object.keys(value).filter((key) => !isNested(value[key]));
  if (plain.includes("prediction")) return "prediction";
  return plain.length === 1 || typeof value[plain[0]] === "string" ? plain[0] : null;
}

function headline(value, known) {
  const line = element("p", "headline");
  line.append(scalar(value, known));
  return line;
}

function scalar(value, known) {
  const made = element("span", value instanceof Digits ? "number" : "as-typed", words(value));
  if (value === null || value === "") made.classList.add("nothing");
  if (value instanceof Digits) made.title = value.text;
  if (known?.unit) made.append(element("span", "unit-after", ` ${known.unit}`));
  return made;
}

function words(value) {
  if (value === null) return "none";
  if (value === true) return "Yes";
  if (value === false) return "No";
  if (value === "") return "(empty text)";
  return value instanceof Digits ? rounded(value) : value;
}

// Sensible digits: whole numbers as they are, others to six places that count.
function rounded(digits) {
  if (/^-?\d+$/.test(digits.text)) return digits.text;
  return String(Number(Number(digits.text).toPrecision(DIGITS)));
}

// Numbers from 0 to 1 that make 1 together: a share for each name, the largest first.
function isShares(value) {
  const numbers = Object.values(value);
  if (numbers.length < 2 || !numbers.every((item) => item instanceof Digits)) return false;
  const shares = numbers.map((item) => Number(item.text));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.every((share) => share >= 0 && share <= 1) && Math.abs(total - 1) < 0.01;
}

function bars(value) {
  const box = element("div");
  const sorted = Object.entries(value)
    .map(([name, share]) => [name, Number(share.text)])
    .sort(([, one], [, other]) => other - one);
  box.append(barList(sorted.slice(0, MOST_BARS)));
  if (sorted.length > MOST_BARS) {
    const rest = element("details");
    rest.append(element("summary", "", `${sorted.length - MOST_BARS} more`), barList(sorted.slice(MOST_BARS)));
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
    const line = element("li");
    line.append(element("span", "bar-name", name || "(empty text)"), element("span", "bar-share number", percent(share)), bar);
    box.append(line);
  }
  return box;
}

// Close to nothing and close to everything are not nothing and everything.
function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(share * 100).toFixed(1)} %`;
}

function list(items, pointer, labels) {
  if (items.length === 0) return element("p", "nothing", "An empty list");
  const shownItems = items.slice(0, MOST_ROWS);
  const box = element("div");
  box.append(columns(shownItems) ? table(shownItems) : plainList(shownItems, pointer, labels));
  if (items.length > MOST_ROWS) {
    box.append(element("p", "nothing", `${items.length - MOST_ROWS} more are in the JSON below.`));
  }
  return box;
}

// The columns of a list that is a table: of objects, or of lists of one length.
function columns(items) {
  if (items.every((item) => Array.isArray(item) && item.length > 0 && item.length === items[0].length)) {
    return items[0].map((_, index) => String(index));
  }
  const areObjects = items.every((item) => isNested(item) && !Array.isArray(item));
  const names = areObjects ? [...new Set(items.flatMap(Object.keys))] : [];
  return names.length ? names : null;
}

function table(items) {
  const names = columns(items);
  const box = element("div", "table-scroll");
  box.tabIndex = 0;
  const made = element("table", "table table-sm");
  if (!Array.isArray(items[0])) {
    const head = made.createTHead().insertRow();
    for (const name of names) {
      const cell = element("th", "", readable(name));
      cell.scope = "col";
      head.append(cell);
    }
  }
  const body = made.createTBody();
  for (const item of items) {
    const row = body.insertRow();
    for (const name of names) {
      const cell = row.insertCell();
      if (Object.hasOwn(item, name)) cell.append(isNested(item[name]) ? shown(item[name], "-", {}) : scalar(item[name]));
    }
  }
  box.append(made);
  return box;
}

function plainList(items, pointer, labels) {
  const box = element("ol", items.some(isNested) ? "items" : "items items-short");
  for (const item of items) {
    const line = element("li");
    line.append(isNested(item) ? shown(item, "-", labels) : scalar(item));
    box.append(line);
  }
  return box;
}

function isNested(value) {
  return value !== null && typeof value === "object" && !(value instanceof Digits);
}

function readable(name) {
  const text = name.replaceAll(/[_\s]+/g, " ").trim() || name || "(no name)";
  return text[0].toUpperCase() + text.slice(1);
}
