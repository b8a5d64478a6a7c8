// Line charts over a number and bar charts over choices, drawn by uPlot.

import { Digits } from "./json.js";
import { percent, percentTick, rounded, roundedAll } from "./numbers.js";
import { element } from "./values.js";

const HEIGHT = 320;
const MOST_WIDE = 48;
// If shares differ by less than this, the axis does not go from 0 to 1.
const CLOSE = 0.2;
// Pixels between two labels of the x axis, unless the chart is narrow.
const MOST_APART = 80;
// The part of a choice's width that its bars fill.
const FILLED = 0.75;
const LABEL = 14;
const PER_CHARACTER = 7;
// Minimum width in pixels of the axis labels, and the space around them.
const NARROWEST = 48;
const MARGIN = 22;

let drawn = null;

// Replaces the chart in the box. `series` are {title, colour, model, values, valueNow}; `labels` are the choices,
// or null if `xs` are numbers; `texts` are the words for each x; `inPercent` means that the values are shares;
// `now` is the x of the form, or null.
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
  const neededWidth = (chart.labels ?? []).join("").length * PER_CHARACTER;
  const isTight = neededWidth > box.clientWidth - 80;
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
        space: Math.min(MOST_APART, box.clientWidth / 5),
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
      setCursor: [(drawing) => write(drawing.cursor.idx)],
      drawClear: [(drawing) => chart.labels && markChoice(drawing, chart)],
      draw: [(drawing) => chart.labels || mark(drawing, chart)],
    },
  };
}

// The range of the value axis: bars start at 0, and shares go from 0 to 1 unless they are close together.
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

// A bar for each choice, next to those of the other series.
function barsOf(place, { series }) {
  return (drawing, index) => {
    const path = new Path2D();
    const [xs, values] = [drawing.data[0], drawing.data[index]];
    const step = drawing.valToPos(1, "x", true) - drawing.valToPos(0, "x", true);
    const width = Math.min((step * FILLED) / series.length, MOST_WIDE * devicePixelRatio);
    const zero = drawing.valToPos(0, "y", true);
    values.forEach((value, choice) => {
      if (value === null) return;
      const left = drawing.valToPos(xs[choice], "x", true) + (place - series.length / 2) * width;
      const top = drawing.valToPos(value, "y", true);
      path.rect(left, Math.min(top, zero), Math.max(width - devicePixelRatio, 1), Math.abs(zero - top));
    });
    return { stroke: path, fill: path };
  };
}

// A vertical line at the number in the form.
function mark(drawing, { now }) {
  if (now === null) return;
  const x = drawing.valToPos(now, "x", true);
  const { left, top, width, height } = drawing.bbox;
  if (x < left || x > left + width) return;
  drawing.ctx.save();
  drawing.ctx.strokeStyle = css("--ink-quiet");
  drawing.ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  drawing.ctx.beginPath();
  drawing.ctx.moveTo(x, top);
  drawing.ctx.lineTo(x, top + height);
  drawing.ctx.stroke();
  drawing.ctx.restore();
}

// A band behind the bars of the choice in the form.
function markChoice(drawing, { now }) {
  if (now === null) return;
  const [left, right] = [now - 0.5, now + 0.5].map((x) => drawing.valToPos(x, "x", true));
  drawing.ctx.save();
  drawing.ctx.fillStyle = css("--accent-soft");
  drawing.ctx.fillRect(left, drawing.bbox.top, right - left, drawing.bbox.height);
  drawing.ctx.restore();
}

function look() {
  const stroke = css("--ink-quiet");
  const grid = { stroke: css("--line"), width: 1 };
  const font = "12px system-ui, sans-serif";
  return { stroke, grid, ticks: grid, font, labelFont: font };
}

// Fills the legend, and returns a function that writes the values at one index into it; null is the input of the
// form.
function legendOf(list, chart) {
  const place = element("li", "legend-place");
  list.replaceChildren(place);
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
    const isNow = index === null || index === undefined;
    place.textContent = isNow ? "This input" : chart.texts[index];
    values.forEach((value, each) => {
      const number = isNow ? chart.series[each].valueNow : chart.series[each].values[index];
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

// A CSS colour for a canvas, which does not support variables.
function resolved(colour) {
  return colour.replaceAll(/var\((--[\w-]+)\)/g, (_, name) => css(name));
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
