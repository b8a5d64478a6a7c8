// The page of jobs.

import { call, jobCard } from "./job.js";
import { element } from "./values.js";

const list = document.getElementById("jobs");
const status = document.getElementById("jobs-status");

start();

async function start() {
  const { answer, problem } = await call(list.dataset.address);
  if (problem) {
    status.textContent = `${problem.title}. ${problem.detail ?? ""}`;
    return;
  }
  for (const job of answer.jobs) list.append(item(job));
  showCount();
}

function item(job) {
  const node = element("li");
  node.append(
    jobCard(job, {
      onRemoved() {
        node.remove();
        showCount();
        status.focus();
      },
    }),
  );
  return node;
}

function showCount() {
  status.textContent = list.children.length ? "" : "No jobs.";
}
