// A job: a file that the server predicts in the background. Shows its state, and follows it until it is finished.

import { count, percent } from "./numbers.js";
import { bytes, element } from "./values.js";

const UNFINISHED = ["waiting", "running"];
const FORMATS = [["csv", "Download CSV"], ["ndjson", "NDJSON"], ["parquet", "Parquet"]];
const TITLES = { waiting: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled" };
// Milliseconds between two requests about a job: more of them in its first seconds.
const PAUSE = 1000;
const LONGEST_PAUSE = 5000;

// Resolves to {answer} or {problem} (RFC 9457), never throws. The answer of a response without content is null.
export async function call(address, method = "GET") {
  try {
    const response = await fetch(address, { method, headers: { Accept: "application/json" } });
    const text = await response.text();
    const content = text ? JSON.parse(text) : null;
    return response.ok ? { answer: content } : { problem: { ...content, status: response.status } };
  } catch {
    return { problem: { title: "The server could not be reached", detail: "The job continues on the server." } };
  }
}

// An element that shows a job and follows it. `onRemoved` is called when the user has removed it.
export function jobCard(job, { onRemoved }) {
  const card = element("div", "job panel");
  card.dataset.job = job.id;
  const [title, bar, facts, status] = [element("p", "job-title"), element("progress"), element("p", "job-facts"), element("p")];
  const buttons = element("div", "part-buttons");
  bar.max = 1;
  bar.setAttribute("aria-label", "Progress");
  status.setAttribute("role", "status");
  card.append(title, bar, facts, buttons, status);
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
  function show(next) {
    const isChanged = next.state !== current.state || !title.textContent;
    current = next;
    bar.hidden = !UNFINISHED.includes(current.state);
    bar.value = current.progress;
    facts.textContent = sentences(current);
    if (!isChanged) return;
    title.textContent = `${current.file || "File"} · ${current.model} · ${TITLES[current.state]}`;
    status.textContent = "";
    const hadFocus = buttons.contains(document.activeElement);
    buttons.replaceChildren(...actions(current, act));
    if (hadFocus) buttons.firstElementChild.focus();
  }
  show(job);
  follow(card, () => current, show, report);
  return card;
}

async function follow(card, getJob, show, report) {
  for (let pause = PAUSE; ; pause = Math.min(pause * 1.1, LONGEST_PAUSE)) {
    await new Promise((done) => setTimeout(done, pause));
    if (!card.isConnected) return;
    if (!UNFINISHED.includes(getJob().state)) continue;
    const { answer, problem } = await call(getJob().links.self);
    if (problem) report(problem);
    else show(answer);
    if (problem?.status === 404) return;
  }
}

function sentences(job) {
  const { state, rows } = job;
  const done = rows.valid + rows.invalid;
  const about = state !== "waiting" && rows.expected && rows.expected !== rows.read ? "about " : "";
  const texts = {
    waiting: () => `${bytes(job.size_bytes)}, waiting to start.`,
    running: () =>
      [
        rows.expected ? `${count(done)} of ${about}${count(rows.expected)} rows (${percent(job.progress)})` : `Reading the file${rows.read ? `: ${numberOf(rows.read)}` : ""}`,
        job.rows_per_second ? `${count(Math.round(job.rows_per_second))} rows per second` : "",
        job.seconds_left === null ? "" : `${duration(job.seconds_left)} left`,
      ]
        .filter(Boolean)
        .join(", ") + ".",
    done: () => `${numberOf(rows.valid)} predicted${job.finished > job.started ? ` in ${duration(job.finished - job.started)}` : ""}.`,
    failed: () => `${job.reason.replace(/[.\s]*$/, "")}. ${numberOf(done)} done.`,
    cancelled: () => `${numberOf(done)} done.`,
  };
  const errors = rows.invalid ? ` ${numberOf(rows.invalid)} with errors.` : "";
  const until = job.expires ? ` Kept until ${new Date(job.expires * 1000).toLocaleString()}.` : "";
  return `${texts[state]()}${errors}${until}`;
}

function actions(job, act) {
  const { links, state } = job;
  const found = [];
  if (state === "done") {
    for (const [form, label] of FORMATS) found.push(link(`${links.result}?as=${form}`, label, form === "csv" ? "btn-primary" : "btn-quiet"));
  }
  if (!UNFINISHED.includes(state) && job.rows.invalid) {
    found.push(link(`${links.problems}?as=csv`, "Rows with errors (CSV)", "btn-quiet"));
  }
  if (["failed", "cancelled"].includes(state)) found.push(button("Resume", () => act("POST", `${links.self}/resume`)));
  found.push(button(UNFINISHED.includes(state) ? "Cancel" : "Remove", () => act("DELETE")));
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

function duration(seconds) {
  if (seconds < 90) return `${count(Math.max(1, Math.round(seconds)))} s`;
  if (seconds < 5400) return `${count(Math.round(seconds / 60))} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
