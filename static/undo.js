// Reports what filled several fields at once, with a button that restores their values.

import { form, notifyChange } from "./input.js";
import { fill } from "./row.js";
import { element } from "./values.js";

const status = element("p", "link-status");

status.role = "status";
form.querySelector(".buttons").append(status);
for (const event of ["reset", "submit"]) form.addEventListener(event, () => status.replaceChildren());

// `before` is a list of fields with their values; without it, nothing can be undone.
export function announce(words, before) {
  status.replaceChildren(words);
  if (!before) return;
  const undo = element("button", "btn btn-link btn-sm", "Undo");
  undo.type = "button";
  undo.addEventListener("click", () => {
    for (const [field, value] of before) fill(field, value);
    status.replaceChildren("Undone.");
    notifyChange();
  });
  status.append(" ", undo);
}
