// Predictions for many rows in several requests, with their errors and the progress.

import { postRows, predictRows } from "./api.js";
import { stringify } from "./json.js";

const MOST_ROWS = 500;
// Consecutive failures after which the model itself is considered broken.
const MOST_FAILURES = 20;
const MOST_WAITS = 20;
// The model failed on a row, or the call is too large or too slow: the rows are sent again in halves.
const HALVED = [413, 500, 504];
const WAITED = [429, 503];

// Predicts each entry, {row}, without answer and problem, and sets one of them, with cautions if wanted.
// `limits` are {rows, characters} of one request. Resolves to the problem that ended it, or null.
export async function predictAll(address, entries, limits, { showProgress, signal, isCautious }) {
  const waiting = chunks(entries.filter(isOpen), limits);
  let [failures, waits] = [0, 0];
  while (waiting.length) {
    const chunk = waiting.shift();
    const response = await predictRows(address, stringify(chunk.map(({ row }) => row)), { signal, isCautious });
    if (!response.problem) {
      chunk.forEach((entry, index) => {
        entry.answer = response.answer[index];
        entry.cautions = response.cautions?.[index] ?? [];
      });
      [failures, waits] = [0, 0];
    } else if (WAITED.includes(response.problem.status) && response.problem.seconds && waits < MOST_WAITS) {
      waits += 1;
      waiting.unshift(chunk);
      showProgress(`Waiting ${response.problem.seconds} s: ${response.problem.title}.`);
      if (!(await sleep(response.problem.seconds, signal))) return { isStopped: true };
    } else if (markRejected(chunk, response.problem)) {
      waiting.unshift(...chunks(chunk.filter(isOpen), limits));
    } else if (!HALVED.includes(response.problem.status)) {
      return response.problem;
    } else if (chunk.length > 1) {
      const half = Math.ceil(chunk.length / 2);
      waiting.unshift(chunk.slice(0, half), chunk.slice(half));
    } else {
      chunk[0].problem = response.problem.detail || response.problem.title;
      failures += 1;
      if (failures === MOST_FAILURES) return response.problem;
    }
    showProgress("");
  }
  return null;
}

// Explains each entry with a prediction, one after the other, and sets its `reasons`. Resolves to the problem
// that ended it, or null.
export async function explainAll(address, entries, reasonsOf, { showProgress, signal }) {
  let waits = 0;
  const waiting = entries.filter(({ answer, reasons }) => answer !== undefined && !reasons);
  while (waiting.length) {
    const [entry] = waiting;
    const response = await postRows(address, stringify([entry.row]), { signal });
    if (!response.problem) {
      entry.reasons = reasonsOf(response.answer);
      waiting.shift();
      waits = 0;
      showProgress("");
    } else if (WAITED.includes(response.problem.status) && response.problem.seconds && waits < MOST_WAITS) {
      waits += 1;
      showProgress(`Waiting ${response.problem.seconds} s: ${response.problem.title}.`);
      if (!(await sleep(response.problem.seconds, signal))) return { isStopped: true };
    } else {
      return response.problem;
    }
  }
  return null;
}

export function isOpen({ answer, problem }) {
  return answer === undefined && !problem;
}

// Writes the errors into their rows. False if the problem names no row.
function markRejected(chunk, { errors = [] }) {
  const reasons = new Map();
  for (const { pointer, detail } of errors) {
    const [, index, place] = /^\/(\d+)\/?(.*)$/s.exec(pointer) ?? [];
    if (index === undefined || !chunk[index]) continue;
    const reason = place ? `${place}: ${detail}` : detail;
    reasons.set(index, [...(reasons.get(index) ?? []), reason]);
  }
  for (const [index, all] of reasons) chunk[index].problem = all.join("; ");
  return reasons.size > 0;
}

function chunks(entries, limits) {
  const found = [];
  let [chunk, size] = [[], 0];
  for (const entry of entries) {
    const length = stringify(entry.row).length;
    const isFull = chunk.length === Math.min(MOST_ROWS, limits.rows) || size + length > limits.characters;
    if (isFull && chunk.length) {
      found.push(chunk);
      [chunk, size] = [[], 0];
    }
    chunk.push(entry);
    size += length;
  }
  return chunk.length ? [...found, chunk] : found;
}

// Resolves to false if it is stopped.
function sleep(seconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(() => done(true), seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done(false);
    });
  });
}
