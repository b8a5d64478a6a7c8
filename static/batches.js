// Predictions for many rows in several requests, with their errors and the progress.

import { postRows, predictEach } from "./api.js";
import { labelOf, nameAt } from "./input.js";
import { stringify } from "./json.js";
import { violationText } from "./problems.js";

const MOST_ROWS = 500;
// Consecutive failures after which the model itself is considered broken.
const MOST_FAILURES = 20;
const MOST_WAITS = 20;
// The call is too large or too slow, or the model failed: the rows are sent again in halves.
const HALVED = [413, 500, 504];
const WAITED = [429, 503];
// The prediction for this row cannot be explained.
const UNEXPLAINED = 422;

// Predicts each entry, {row}, without answer and problem, and sets one of them, with cautions if wanted.
// `problem` has the names of columns, as the saved file; `labelled` has the labels of the form.
// `limits` are {rows, characters} of one request. Resolves to the problem that ended it, or null.
export async function predictAll(address, entries, limits, { isCautious, ...options }) {
  const waiting = chunks(entries.filter(isOpen), limits);
  const { signal } = options;
  let failures = 0;
  while (waiting.length) {
    const chunk = waiting.shift();
    const rows = chunk.map(({ row }) => row);
    const { results, problem } = await patiently(() => predictEach(address, rows, { signal, isCautious }), options);
    if (problem && !HALVED.includes(problem.status)) return problem;
    const found = results ?? chunk.map(() => ({ problem }));
    const failed = chunk.filter((_, index) => HALVED.includes(found[index].problem?.status));
    const isCertain = failed.length < 2;
    chunk.forEach((entry, index) => (isCertain || !failed.includes(entry)) && set(entry, found[index]));
    // The server does not separate the rows of a model that fails on many.
    if (!isCertain) waiting.unshift(...halves(failed));
    if (failed.length < chunk.length) failures = 0;
    else if (chunk.length === 1) failures += 1;
    if (failures === MOST_FAILURES) return found[0].problem;
    options.showProgress("");
  }
  return null;
}

function set(entry, { prediction, cautions, problem }) {
  if (problem) [entry.problem, entry.labelled] = [reasonOf(problem, nameAt), reasonOf(problem, labelOf)];
  else [entry.answer, entry.cautions] = [prediction, cautions ?? []];
}

function reasonOf({ title, detail, errors = [] }, toName) {
  const reasons = errors.map((each) => (each.pointer ? violationText(toName(each.pointer), each.detail) : each.detail));
  return reasons.join("; ") || detail || title;
}

function halves(entries) {
  const half = Math.ceil(entries.length / 2);
  return [entries.slice(0, half), entries.slice(half)];
}

// Explains each entry with a prediction, one after the other, and sets its `reasons`: why it has none, if the
// prediction cannot be explained. Resolves to the problem that ended it, or null.
export async function explainAll(address, entries, reasonsOf, options) {
  const { signal } = options;
  let failures = 0;
  for (const entry of entries.filter(({ answer, reasons }) => answer !== undefined && !reasons)) {
    const { answer, problem } = await patiently(() => postRows(address, stringify([entry.row]), { signal }), options);
    failures = problem ? failures + 1 : 0;
    if (problem && (problem.status !== UNEXPLAINED || failures === MOST_FAILURES)) return problem;
    entry.reasons = problem ? noReasons(problem) : reasonsOf(answer);
    options.showProgress("");
  }
  return null;
}

// Why there are none, in place of the first one.
function noReasons(problem) {
  const [saved, shown] = [nameAt, labelOf].map((toName) => `not explained: ${reasonOf(problem, toName)}`);
  return { saved: { why_1: saved }, shown: [shown] };
}

// Sends a request again while the server is too busy for it.
async function patiently(send, { showProgress, signal }) {
  for (let waits = 0; ; waits += 1) {
    const response = await send();
    const { status, seconds, title } = response.problem ?? {};
    if (!WAITED.includes(status) || !seconds || waits === MOST_WAITS) return response;
    showProgress(`Waiting ${seconds} s: ${title}.`);
    if (!(await sleep(seconds, signal))) return { problem: { isStopped: true } };
  }
}

export function isOpen({ answer, problem }) {
  return answer === undefined && !problem;
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
