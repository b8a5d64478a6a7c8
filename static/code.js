// The panel with code that sends the current row.

import { copyBy } from "./clipboard.js";
import { form, onChange } from "./input.js";
import { parsed } from "./json.js";
import { body, isJsonShown } from "./json_tab.js";
import { hasInput } from "./row.js";
import { LANGUAGES } from "./snippets.js";

const panel = document.getElementById("code");
const code = document.getElementById("code-text");
const status = document.getElementById("code-status");
const copy = document.getElementById("code-copy");
const root = form.querySelector("[data-field]");
const example = form.querySelector("[data-example]");
const choices = [...panel.querySelectorAll('[name="language"]')];

for (const choice of choices) choice.addEventListener("change", show);
copy.addEventListener("click", () => copyBy(copy, code.textContent));
onChange(show);

function show() {
  // The model rejects a blank form.
  const isExample = example !== null && !isJsonShown() && !hasInput(root);
  const row = parsed(isExample ? example.dataset.example : body());
  const language = choices.find((choice) => choice.checked).value;
  const isJson = row !== undefined;
  const words = isExample ? `The form is blank. This code sends ${example.textContent.trim()}.` : "";
  status.textContent = isJson ? words : "The input is not valid JSON.";
  code.parentElement.hidden = !isJson;
  copy.hidden = !isJson;
  if (isJson) code.textContent = LANGUAGES[language](panel.dataset.address, row, panel.dataset.key !== undefined);
}
