// The charts of the pages about models in use, drawn by uPlot.

import { percentTick } from "./numbers.js";

const HEIGHT = 256;
const [HOUR_SECONDS, DAY_SECONDS] = [3600, 86_400];
const [FILLED, MOST_WIDE] = [0.85, 48];
// The distances of the labels of shares.
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
// The distances of the labels of counts.
const COUNTS = [...Array(12).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
// The width in pixels of the label of a week.
const WEEK_WIDTH = 80;
const LABEL = 14;
const PER_CHARACTER = 7;

const CHARTS = { traffic: trafficChart, drift: driftChart, truth: truthChart };

const charts = [...document.querySelectorAll(".health-chart")];
const drawn = new Map();

for (const box of charts) {
  // Boxes in closed details have no width until they are opened.
  new ResizeObserver(() => draw(box)).observe(box);
}
new MutationObserver(() => charts.forEach((box) => draw(box, true))).observe(document.documentElement, {
  attributeFilter: ["data-bs-theme"],
});

function draw(box, isThemeChanged = false) {
  const before = drawn.get(box);
  if (!box.clientWidth) return;
  if (before?.width === box.clientWidth && !isThemeChanged) return;
  before?.destroy();
  const [[kind, text]] = Object.entries(box.dataset);
  drawn.set(box, CHARTS[kind](box, JSON.parse(text)));
}

function trafficChart(box, { starts, succeeded, errors }) {
  const middles = starts.map((start) => start + HOUR_SECONDS / 2);
  const calls = succeeded.map((count, hour) => count + errors[hour]);
  return new uPlot(
    {
      ...frame(box),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {
        x: { range: [starts[0], starts.at(-1) + HOUR_SECONDS] },
        y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] },
      },
      axes: [{ ...look(), space: 64, values: days }, { ...look(), size: 56, incrs: COUNTS, values: (_, splits) => splits.map((count) => count.toLocaleString("en")) }],
      series: [{}, bars("--accent"), bars("--bad")],
    },
    [middles, calls, errors],
    box,
  );
}

// Two histograms, one over the other: of numbers, or of choices.
function driftChart(box, { labels, edges, reference, current }) {
  const places = labels.length > 0 ? labels.map((_, index) => index) : middles(edges);
  const isTight = labels.join("").length * PER_CHARACTER > box.clientWidth - 80;
  const choices = { rotate: isTight ? 40 : 0, size: isTight ? 90 : 36, splits: () => places, values: () => labels.map(cut) };
  // The outer bins also hold what lies beyond them, so their outer edges get no number.
  const inner = (splits) => splits.map((x) => (x < edges[1] || x > edges.at(-2) ? null : x));
  const numbers = { filter: (_, splits) => inner(splits) };
  const range = labels.length > 0 ? [-0.5, labels.length - 0.5] : [edges[0], edges.at(-1)];
  const paths = uPlot.paths.bars({ size: [FILLED, MOST_WIDE] });
  return new uPlot(
    {
      ...frame(box),
      scales: { x: { time: false, range }, y: { range: (_, low, high) => [0, high * 1.1] } },
      axes: [
        { ...look(), space: 56, ...(labels.length > 0 ? choices : numbers) },
        { ...look(), size: 48, incrs: STEPS, values: (_, splits) => splits.map((share) => percentTick(share, splits[1] - splits[0])) },
      ],
      series: [
        {},
        { fill: `${css("--ink-quiet")}66`, stroke: css("--ink-quiet"), width: 1, points: { show: false }, paths },
        { fill: `${css("--accent")}66`, stroke: css("--accent"), width: 2, points: { show: false }, paths },
      ],
    },
    [places, reference, current],
    box,
  );
}

// One metric by week, and a dashed line at its value in the model's file.
function truthChart(box, { starts, values, file }) {
  const points = { show: true, size: 6 };
  const step = Math.ceil((starts.length * WEEK_WIDTH) / box.clientWidth);
  const splits = () => starts.filter((_, week) => week % step === 0);
  const known = file === null ? [] : [{ stroke: css("--ink-quiet"), dash: [6, 6], width: 2, points: { show: false } }];
  return new uPlot(
    {
      ...frame(box),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      axes: [{ ...look(), space: 64, values: days, splits }, { ...look(), size: 64 }],
      series: [{}, { stroke: css("--accent"), width: 2, points }, ...known],
    },
    [starts, values, ...known.map(() => starts.map(() => file))],
    box,
  );
}

function middles(edges) {
  return edges.slice(1).map((edge, index) => (edge + edges[index]) / 2);
}

function cut(text) {
  return text.length > LABEL ? `${text.slice(0, LABEL - 1)}…` : text;
}

// The labels of times: the day at midnight, else the hour.
function days(_, splits) {
  return splits.map((seconds) => {
    const time = new Date(seconds * 1000);
    const text = time.toLocaleString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
    return seconds % DAY_SECONDS === 0 ? text : `${String(time.getUTCHours()).padStart(2, "0")}:00`;
  });
}

function frame(box) {
  return { width: box.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { show: false } };
}

function bars(colour) {
  return { fill: css(colour), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [FILLED, 48] }) };
}

function look() {
  const stroke = css("--ink-quiet");
  const grid = { stroke: css("--line"), width: 1 };
  return { stroke, grid, ticks: grid, font: "12px system-ui, sans-serif" };
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
