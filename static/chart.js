// Lines over a number, or points over choices, drawn by uPlot on a canvas.

import { percent } from "./answer.js";
import { Digits } from "./json.js";
import { element, rounded } from "./values.js";

const HEIGHT = 320;
const COLOURS = 8;
const LABEL = 14;
const PER_CHARACTER = 7;

let drawn = null;

// `series` are {name, model, values}; `labels` are the choices, or null where `xs` are numbers;
// `now` is where the form stands. Gives back nothing; the next call takes the place of this one.
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

// The colour of a series' name: the same for both models.
function colourOf(index) {
  return css(`--series-${(index % COLOURS) + 1}`);
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
      y: { range: chart.areShares ? [0, 1] : undefined },
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
        values: (_, splits) => (chart.labels ? chart.labels.map(cut) : splits.map(plain)),
      },
      {
        ...look(),
        size: 64,
        values: (_, splits) => splits.map((split) => tick(split, chart.areShares)),
      },
    ],
    series: [{}, ...chart.series.map((one) => line(one, chart))],
    hooks: {
      setCursor: [(made) => write(made.cursor.idx)],
      draw: [(made) => mark(made, chart)],
    },
  };
}

function line({ colour, model }, chart) {
  const stroke = colourOf(colour);
  const points = { show: true, size: 10, stroke, fill: model ? css("--paper") : stroke };
  if (chart.labels) return { stroke, paths: () => null, points };
  const dash = model ? [8, 5] : undefined;
  return { stroke, width: 2.5, dash, points: { show: chart.xs.length < 25, size: 5 } };
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
    swatch.style.color = colourOf(one.colour);
    const value = element("span", "number");
    line.append(swatch, element("span", "", one.title), value);
    list.append(line);
    return value;
  });
  return (index) => {
    values.forEach((value, each) => {
      const number = index === null || index === undefined ? null : chart.series[each].values[index];
      value.textContent = number === null ? "" : shownNumber(number, chart.areShares);
    });
  };
}

export function shownNumber(number, isShare) {
  return isShare ? percent(number) : plain(number);
}

function plain(number) {
  return rounded(new Digits(String(number)));
}

function tick(number, isShare) {
  return isShare ? `${Math.round(number * 100)} %` : plain(number);
}

function cut(text) {
  return text.length > LABEL ? `${text.slice(0, LABEL - 1)}…` : text;
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
