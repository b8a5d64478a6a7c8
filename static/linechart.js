// A list of numbers as a line chart.

import { Digits } from "./json.js";
import { count, rounded } from "./numbers.js";
import { element } from "./values.js";

const FEWEST = 6;
const SVG = "http://www.w3.org/2000/svg";
// The size of the view box. The chart itself is as wide as its container.
const [WIDTH, HEIGHT] = [300, 100];

// Whether a list is drawn as a line: it has at least FEWEST items, all of them numbers.
export function isSeries(items) {
  return items.length >= FEWEST && items.every((item) => item instanceof Digits && Number.isFinite(Number(item.text)));
}

export function lineChart(items, title) {
  const numbers = items.map(({ text }) => Number(text));
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const across = (index) => (index / (numbers.length - 1)) * WIDTH;
  const down = (number) => (high === low ? HEIGHT / 2 : ((high - number) / (high - low)) * HEIGHT);
  const line = svgElement("polyline", { points: numbers.map((number, index) => `${across(index)},${down(number)}`).join(" ") });
  const drawing = svgElement("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  drawing.append(line);
  const box = element("div", "line-chart");
  box.role = "img";
  box.ariaLabel = `${title}: ${count(items.length)} numbers from ${words(low)} to ${words(high)}`;
  box.append(element("span", "number unbroken", words(high)), drawing, element("span", "number unbroken", words(low)));
  return box;
}

function words(number) {
  return rounded(new Digits(String(number)));
}

function svgElement(name, attributes) {
  const part = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
  return part;
}
