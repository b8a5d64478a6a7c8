// Many rows asked a few at a time: what is answered, what is refused and why, and how far it is.

import { ask } from "./asking.js";
import { stringify } from "./json.js";

const MOST_ROWS = 500;
// Rows that fail one after the other, and none that is answered: then it is not the rows.
const MOST_FAILURES = 20;
const MOST_WAITS = 20;
// A row that makes the model fail, or a call that is too large or too slow: asked again in halves.
const HALVED = [413, 500, 504];
const WAITED = [429, 503];

// Asks for every entry, {row}, that has neither answer nor problem yet, and writes either into it.
// `limits` are {rows, characters} of one request. Resolves to the problem that ended it, or null.
export async function askAll(address, entries, limits, { told, signal }) {
  const waiting = chunks(entries.filter(isOpen), limits);
  let [failures, waits] = [0, 0];
  while (waiting.length) {
    const chunk = waiting.shift();
    const said = await ask(address, stringify(chunk.map(({ row }) => row)), { signal });
    if (!said.problem) {
      chunk.forEach((entry, index) => (entry.answer = said.answer[index]));
      [failures, waits] = [0, 0];
    } else if (WAITED.includes(said.problem.status) && said.problem.seconds && waits < MOST_WAITS) {
      waits += 1;
      waiting.unshift(chunk);
      told(`Waiting ${said.problem.seconds} s: ${said.problem.title}.`);
      if (!(await slept(said.problem.seconds, signal))) return { isStopped: true };
    } else if (refused(chunk, said.problem)) {
      waiting.unshift(...chunks(chunk.filter(isOpen), limits));
    } else if (!HALVED.includes(said.problem.status)) {
      return said.problem;
    } else if (chunk.length > 1) {
      const half = Math.ceil(chunk.length / 2);
      waiting.unshift(chunk.slice(0, half), chunk.slice(half));
    } else {
      chunk[0].problem = said.problem.detail || said.problem.title;
      failures += 1;
      if (failures === MOST_FAILURES) return said.problem;
    }
    told("");
  }
  return null;
}

export function isOpen({ answer, problem }) {
  return answer === undefined && !problem;
}

// Writes into the rows what is wrong with them; false where the problem names none of them.
function refused(chunk, { errors = [] }) {
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

// False where it was stopped meanwhile.
function slept(seconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(() => done(true), seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done(false);
    });
  });
}
