// The panel with the configuration of assistants, of which one is shown.

import { copyBy } from "./clipboard.js";

const panel = document.getElementById("assistant");
const copy = document.getElementById("assistant-copy");
const choices = [...panel.querySelectorAll('[name="assistant"]')];
const parts = [...panel.querySelectorAll("[data-assistant]")];

for (const choice of choices) choice.addEventListener("change", show);
copy.addEventListener("click", () => copyBy(copy, shown().querySelector("pre").textContent));
show();

function show() {
  for (const part of parts) part.hidden = part !== shown();
}

function shown() {
  const chosen = choices.find((choice) => choice.checked).value;
  return parts.find((part) => part.dataset.assistant === chosen);
}
