// Lines over a number, or bars over choices, drawn by uPlot on a canvas.

import { Digits } from "./json.js";
import { percent, percentTick, rounded, roundedAll } from "./numbers.js";
import { element } from "./values.js";

const HEIGHT = 320;
const MOST_WIDE = 48;
// Shares that differ by less than this are drawn apart, not on the whole way from nothing to all.
const CLOSE = 0.2;
// How much of the place of a choice its bars take.
const FILLED = 0.75;
const LABEL = 14;
const PER_CHARACTER = 7;
// What the labels beside an axis take at least, and with the space around them.
const NARROWEST = 48;
const MARGIN = 22;

let drawn = null;

// `series` are {title, colour, model, values}; `labels` are the choices, or null where `xs` are numbers;
// `inPercent` says that the values are shares; `now` is where the form stands. Gives back nothing; the next call takes the place of this one.
export function plot(box, legend, chart) {
  drawn?.destroy();
  const write = legendOf(legend, chart);
  const columns = [chart.xs, ...chart.series.map(({ values }) => values)];
  drawn = new uPlot(options(box, chart, write), columns, box);
  write(null);
}

export function unplot(box, legend) {
  drawn?.destroy();
  drawn = null;
  legend.replaceChildren();
}

function options(box, chart, write) {
  const wanted = (chart.labels ?? []).join("").length * PER_CHARACTER;
  const isTight = wanted > box.clientWidth - 80;
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: chart.labels ? [-0.5, chart.labels.length - 0.5] : undefined },
      y: { range: rangeOf(chart) },
    },
    axes: [
      {
        ...look(),
        label: chart.labels ? undefined : chart.xLabel,
        labelSize: 24,
        size: isTight ? 90 : 36,
        rotate: isTight ? 40 : 0,
        space: 80,
        splits: chart.labels ? () => chart.xs : undefined,
        values: (_, splits) => (chart.labels ? chart.labels.map(cut) : ticks(splits)),
      },
      {
        ...look(),
        size: (_, labels) => Math.max(NARROWEST, MARGIN + widest(labels) * PER_CHARACTER),
        values: (_, splits) => ticks(splits, chart.inPercent),
      },
    ],
    series: [{}, ...chart.series.map((one, place) => line(one, place, chart))],
    hooks: {
      setCursor: [(made) => write(made.cursor.idx)],
      draw: [(made) => mark(made, chart)],
    },
  };
}

// From where to where the values go: bars begin at nothing, and shares end at all, unless they are close.
function rangeOf({ series, inPercent, labels }) {
  const values = series.flatMap((one) => one.values).filter((value) => value !== null);
  if (values.length === 0) return undefined;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = (high - low) / 10 || Math.abs(high) / 10 || 1;
  if (inPercent && !labels && high - low < CLOSE) return [Math.max(0, low - space), Math.min(1, high + space)];
  if (inPercent) return [0, 1];
  return labels ? [low < 0 ? low - space : 0, high > 0 || low === 0 ? high + space : 0] : undefined;
}

function line({ colour, model }, place, chart) {
  const stroke = resolved(colour);
  const dash = model ? [8, 5] : undefined;
  if (chart.labels) {
    const fill = model ? css("--paper") : stroke;
    return { stroke, fill, width: 1.5, dash, paths: barsOf(place, chart), points: { show: false } };
  }
  return { stroke, width: 2.5, dash, points: { show: chart.xs.length < 25, size: 5 } };
}

// A bar for each choice, beside those of the other series. Each is as wide as it can be and no wider.
function barsOf(place, { series }) {
  return (made, index) => {
    const path = new Path2D();
    const [xs, values] = [made.data[0], made.data[index]];
    const step = made.valToPos(1, "x", true) - made.valToPos(0, "x", true);
    const width = Math.min((step * FILLED) / series.length, MOST_WIDE * devicePixelRatio);
    const zero = made.valToPos(0, "y", true);
    values.forEach((value, choice) => {
      if (value === null) return;
      const left = made.valToPos(xs[choice], "x", true) + (place - series.length / 2) * width;
      const top = made.valToPos(value, "y", true);
      path.rect(left, Math.min(top, zero), Math.max(width - devicePixelRatio, 1), Math.abs(zero - top));
    });
    return { stroke: path, fill: path };
  };
}

// A line where the form stands.
function mark(made, { now, labels }) {
  if (now === null || labels) return;
  const x = made.valToPos(now, "x", true);
  const { left, top, width, height } = made.bbox;
  if (x < left || x > left + width) return;
  made.ctx.save();
  made.ctx.strokeStyle = css("--ink-quiet");
  made.ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  made.ctx.beginPath();
  made.ctx.moveTo(x, top);
  made.ctx.lineTo(x, top + height);
  made.ctx.stroke();
  made.ctx.restore();
}

function look() {
  const stroke = css("--ink-quiet");
  const grid = { stroke: css("--line"), width: 1 };
  const font = "12px system-ui, sans-serif";
  return { stroke, grid, ticks: grid, font, labelFont: font };
}

// Fills the list of names, and gives back what writes the values of one place into it.
function legendOf(list, chart) {
  list.replaceChildren();
  const values = chart.series.map((one) => {
    const line = element("li");
    const swatch = element("span", one.model ? "swatch swatch-other" : "swatch");
    swatch.style.color = one.colour;
    const value = element("span", "number");
    line.append(swatch, element("span", "", one.title), value);
    list.append(line);
    return value;
  });
  return (index) => {
    values.forEach((value, each) => {
      const number = index === null || index === undefined ? null : chart.series[each].values[index];
      value.textContent = number === null ? "" : shownNumber(number, chart.inPercent);
    });
  };
}

export function shownNumber(number, isShare) {
  return isShare ? percent(number) : rounded(digits(number));
}

function digits(number) {
  return new Digits(String(number));
}

function ticks(splits, areShares = false) {
  if (areShares) return splits.map((split) => percentTick(split, splits[1] - splits[0]));
  return roundedAll(splits.map(digits));
}

function widest(labels) {
  return Math.max(0, ...(labels ?? []).map((label) => label.length));
}

function cut(text) {
  return text.length > LABEL ? `${text.slice(0, LABEL - 1)}…` : text;
}

// A colour of CSS as a canvas takes it, which knows no variables.
function resolved(colour) {
  return colour.replaceAll(/var\((--[\w-]+)\)/g, (_, name) => css(name));
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
