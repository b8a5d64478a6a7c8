// The panel with the examples: predicts them when it is first shown, and fills the form with one.

import { headlineOf } from "./answer.js";
import { postRows, TRIED } from "./api.js";
import { form, show } from "./input.js";
import { parse } from "./json.js";

const table = document.getElementById("examples-table");
const status = document.getElementById("examples-status");

if (table) {
  document.getElementById("examples-tab").addEventListener("shown.bs.tab", predict, { once: true });
  table.addEventListener("click", (event) => {
    const button = event.target.closest("[data-use]");
    if (!button) return;
    show(parse(button.dataset.use));
    form.scrollIntoView();
    document.getElementById("send").focus({ preventScroll: true });
  });
}

async function predict() {
  const cells = [...table.querySelectorAll("[data-prediction]")];
  const labels = JSON.parse(document.getElementById("answer").dataset.labels);
  const { answer, problem } = await postRows(form.dataset.action, table.dataset.rows, { headers: TRIED });
  status.textContent = problem ? `The examples could not be predicted. ${problem.title}.` : "";
  if (problem) return;
  cells.forEach((cell, index) => cell.replaceChildren(headlineOf(answer[index], labels)));
}
