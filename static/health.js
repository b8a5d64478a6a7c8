// The charts of the pages about models in use, drawn by uPlot.

const HEIGHT = 256;
const [HOUR_SECONDS, DAY_SECONDS] = [3600, 86_400];
const FILLED = 0.85;

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
  drawn.set(box, trafficChart(box, JSON.parse(box.dataset.traffic)));
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
      axes: [{ ...look(), space: 64, values: days }, { ...look(), size: 56, values: (_, splits) => splits.map((count) => count.toLocaleString("en")) }],
      series: [{}, bars("--accent"), bars("--bad")],
    },
    [middles, calls, errors],
    box,
  );
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
