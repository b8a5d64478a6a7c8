// The panel with code that sends the current row.

import { copyBy } from "./clipboard.js";
import { onChange } from "./input.js";
import { parsed } from "./json.js";
import { body } from "./json_tab.js";
import { LANGUAGES } from "./snippets.js";

const panel = document.getElementById("code");
const code = document.getElementById("code-text");
const status = document.getElementById("code-status");
const copy = document.getElementById("code-copy");
const choices = [...panel.querySelectorAll('[name="language"]')];

for (const choice of choices) choice.addEventListener("change", show);
copy.addEventListener("click", () => copyBy(copy, code.textContent));
onChange(show);

function show() {
  const row = parsed(body());
  const language = choices.find((choice) => choice.checked).value;
  const isJson = row !== undefined;
  status.textContent = isJson ? "" : "The input is not valid JSON.";
  code.parentElement.hidden = !isJson;
  copy.hidden = !isJson;
  if (isJson) code.textContent = LANGUAGES[language](panel.dataset.address, row, panel.dataset.key !== undefined);
}
