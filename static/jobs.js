// The page of jobs.

import { call, jobCard } from "./job.js";
import { element } from "./values.js";

const list = document.getElementById("jobs");
const status = document.getElementById("jobs-status");
const more = document.getElementById("jobs-more");
// The address of the jobs behind those that are shown; null if there are none.
let next = list.dataset.address;

more.addEventListener("click", showNext);
showNext();

async function showNext() {
  const { answer, problem } = await call(next);
  if (problem) {
    status.textContent = `${problem.title}. ${problem.detail ?? ""}`;
    return;
  }
  const added = answer.jobs.map(item);
  const isFirst = list.children.length === 0;
  list.append(...added);
  next = answer.next;
  more.hidden = next === null;
  showCount();
  if (!isFirst) added[0]?.querySelector("a, button").focus();
}

function item(job) {
  const node = element("li");
  node.append(
    jobCard(job, {
      getPage: (model) => list.dataset.page.replace("MODEL", encodeURIComponent(model)),
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
  status.textContent = list.children.length || next ? "" : "No jobs.";
}
