// A job: a file that the server predicts in the background. Shows its state, and follows it until it is finished.

import { copyBy } from "./clipboard.js";
import { count, percent } from "./numbers.js";
import { bytes, element, unstep } from "./values.js";

const UNFINISHED = ["waiting", "running"];
const FORMATS = [["csv", "Download CSV"], ["ndjson", "NDJSON"], ["parquet", "Parquet"]];
const TITLES = { waiting: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled" };
// How rows with errors are corrected and sent again.
const CORRECTION = {
  csv: "correct the cells that the column “problem (job)” names, and drop the file on the page of the model.",
  ndjson: "correct in “row” what “problems” names, and drop the file on the page of the model.",
};
// Milliseconds between two requests about a job: more of them in its first seconds.
const PAUSE = 1000;
const LONGEST_PAUSE = 5000;
// Rows with errors that are shown.
const FIRST_ERRORS = 5;

// Resolves to {answer} or {problem} (RFC 9457), never throws. The answer of a response without content is null.
export async function call(address, method = "GET") {
  try {
    const response = await fetch(address, { method, headers: { Accept: "application/json" } });
    const text = await response.text();
    const content = text ? JSON.parse(text) : null;
    return response.ok ? { answer: content } : { problem: { ...content, status: response.status } };
  } catch {
    return { problem: { title: "The server could not be reached" } };
  }
}

// An element that shows a job and follows it. `onRemoved` is called when the user has removed it, and `getPage` returns the
// address of a model's page, unless the job is shown there.
export function jobCard(job, { onRemoved, getPage = null }) {
  const card = element("div", "job panel");
  card.dataset.job = job.id;
  const [title, bar, facts, next] = [element("p", "job-title"), element("progress"), element("p", "job-facts"), element("p")];
  const [errors, buttons, status] = [errorList(() => current), element("div", "part-buttons"), element("p")];
  bar.max = 1;
  bar.setAttribute("aria-label", "Progress");
  status.setAttribute("role", "status");
  card.append(title, bar, facts, next, errors, buttons, status);
  let current = job;
  const act = async (method, address = current.links.self) => {
    const { answer, problem } = await call(address, method);
    if (problem) return report(problem);
    if (answer === null) return onRemoved(card);
    return show(answer);
  };
  const report = (problem) => {
    status.textContent = `${problem.title}. ${problem.detail ?? ""}`;
  };
  function show(update) {
    const isChanged = update.state !== current.state || !title.textContent;
    current = update;
    bar.hidden = !UNFINISHED.includes(current.state);
    bar.value = current.progress;
    facts.textContent = sentences(current);
    errors.hidden = !current.rows.invalid;
    if (!isChanged) return;
    title.replaceChildren(`${current.file || `Job ${current.id.slice(0, 8)}`} · `, modelName(current.model, getPage), ` · ${TITLES[current.state]}`);
    next.textContent = nextStep(current);
    status.textContent = "";
    const hadFocus = buttons.contains(document.activeElement);
    buttons.replaceChildren(...actions(current, act));
    if (hadFocus) buttons.firstElementChild.focus();
  }
  show(job);
  follow(card, () => current, show, report);
  return card;
}

function modelName(model, getPage) {
  if (!getPage) return model;
  const node = element("a", "", model);
  node.href = getPage(model);
  return node;
}

// The first rows with errors, which are requested when the user opens the list.
function errorList(getJob) {
  const [node, list] = [element("details", "job-errors"), element("ul")];
  node.append(element("summary", "", "First rows with errors"), list);
  node.addEventListener("toggle", async () => {
    if (!node.open) return;
    const lines = await firstLines(`${getJob().links.problems}?as=ndjson`, FIRST_ERRORS);
    const texts = lines?.map((line) => errorText(JSON.parse(line))) ?? ["The errors could not be read."];
    list.replaceChildren(...texts.map((text) => element("li", "", text)));
  });
  return node;
}

function errorText({ line, problems }) {
  const reasons = problems.map(({ pointer, detail }) => `${unstep(pointer.slice(1))} ${detail}`.trim());
  return `${line === null ? "" : `Line ${line}: `}${reasons.join("; ")}`;
}

// Resolves to the first lines of a text that may be very long; to null if it cannot be read.
async function firstLines(address, most) {
  try {
    const response = await fetch(address);
    if (!response.ok) return null;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      text += piece.value;
      if (text.split("\n").length > most) break;
    }
    reader.cancel();
    return text.split("\n").slice(0, most).filter(Boolean);
  } catch {
    return null;
  }
}

async function follow(card, getJob, show, report) {
  for (let pause = PAUSE; ; pause = Math.min(pause * 1.1, LONGEST_PAUSE)) {
    await new Promise((done) => setTimeout(done, pause));
    if (!card.isConnected) return;
    const before = getJob();
    if (!UNFINISHED.includes(before.state)) continue;
    const { answer, problem } = await call(before.links.self);
    // A button has changed the job meanwhile: this response may be older.
    if (getJob() !== before) continue;
    if (problem) report({ detail: "The job continues on the server.", ...problem });
    else show(answer);
    if (problem?.status === 404) return;
  }
}

// What is read, how many rows are done, how fast, and what is left.
function sentences(job) {
  const { state, rows } = job;
  const done = rows.valid + rows.invalid;
  const isAll = rows.expected === rows.read;
  const about = rows.expected === null || isAll ? "" : "about ";
  const reading = `Read ${numberOf(rows.read)} of the file (${bytes(job.size_bytes)})${isAll || state === "done" ? "" : " so far"}.`;
  const texts = {
    waiting: () => `Sent ${time(job.created)}, ${bytes(job.size_bytes)}. It starts when a process for jobs is free.`,
    running: () => [reading, done ? `Predicted ${count(done)} of ${about}${numberOf(rows.expected)} (${percent(job.progress)})${pace(job)}.` : ""].join(" "),
    done: () => `${reading} Predicted ${numberOf(rows.valid)}.`,
    failed: () => `Stopped: ${job.reason.replace(/[.\s]*$/, "")}. ${reading} ${numberOf(done)} done.`,
    cancelled: () => `${reading} ${numberOf(done)} done.`,
  };
  const errors = rows.invalid ? ` ${numberOf(rows.invalid)} with errors, without a prediction.` : "";
  const owner = job.owner ? ` Sent with the key “${job.owner}”.` : "";
  return `${texts[state]()}${errors}${ended(job)}${owner} Id: ${job.id}.`;
}

// When a job ended, how long it took, and until when it is kept; empty for an unfinished one.
function ended({ started, finished, expires }) {
  if (finished === null) return "";
  const took = started === null ? "" : `, after ${duration(finished - started)}`;
  return ` Ended ${time(finished)}${took}. Kept until ${time(expires)}.`;
}

function pace(job) {
  const rate = job.rows_per_second ? `, ${count(Math.round(job.rows_per_second))} rows per second` : "";
  return `${rate}${job.seconds_left === null ? "" : `, about ${duration(job.seconds_left)} left`}`;
}

// What the user can do next.
function nextStep({ state, rows, format }) {
  const done = rows.valid + rows.invalid;
  const kept = done ? "; finished rows are kept" : "";
  const unfinished = "You can close this page: the prediction continues in the background.";
  const texts = {
    waiting: unfinished,
    running: unfinished,
    failed: `If the file is the cause, correct it and send it again. Otherwise, remove the cause, then choose Resume${kept}.`,
    cancelled: `Choose Resume to continue${kept}.`,
    done: rows.invalid
      ? `To predict the rows with errors too, download them, ${CORRECTION[format] ?? CORRECTION.csv}`
      : "",
  };
  return texts[state] ?? "";
}

function actions(job, act) {
  const { links, state } = job;
  const found = [];
  const hasResult = state === "done" && job.rows.valid > 0;
  if (hasResult) {
    for (const [form, label] of FORMATS) found.push(link(`${links.result}?as=${form}&bom=true`, label, form === "csv" ? "btn-primary" : "btn-quiet"));
  }
  if (!UNFINISHED.includes(state) && job.rows.invalid) {
    // The CSV of JSON rows cannot be sent again.
    const [form, label] = job.format === "ndjson" ? ["ndjson", "NDJSON"] : ["csv", "CSV"];
    found.push(link(`${links.problems}?as=${form}&bom=true`, `Rows with errors (${label})`, state === "done" && !hasResult ? "btn-primary" : "btn-quiet"));
  }
  if (["failed", "cancelled"].includes(state)) found.push(button("Resume", () => act("POST", `${links.self}/resume`)));
  if (UNFINISHED.includes(state)) found.push(button("Cancel", () => act("POST", `${links.self}/cancel`)));
  else found.push(button("Remove", () => act("DELETE")));
  found.push(button("Copy id", ({ currentTarget }) => copyBy(currentTarget, job.id)));
  return found;
}

function link(address, label, kind) {
  const node = element("a", `btn ${kind}`, label);
  node.href = address;
  node.setAttribute("download", "");
  return node;
}

function button(label, act) {
  const node = element("button", "btn btn-quiet", label);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function numberOf(rows) {
  return `${count(rows)} row${rows === 1 ? "" : "s"}`;
}

function time(seconds) {
  return new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

function duration(seconds) {
  if (seconds < 90) return `${count(Math.max(1, Math.round(seconds)))} s`;
  if (seconds < 5400) return `${count(Math.round(seconds / 60))} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
