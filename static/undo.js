// Reports what filled several fields at once, with a button that restores their values.

import { form, notifyChange, onChange } from "./input.js";
import { same } from "./json.js";
import { fill, read } from "./row.js";
import { element } from "./values.js";

const status = element("p", "link-status");

let filled = []; // {field, before, after} of the fields that can be restored

status.role = "status";
form.querySelector(".buttons").append(status);
form.addEventListener("reset", () => announce(""));
// There is nothing to undo once every field has another value.
onChange(() => {
  if (filled.length && !filled.some(isUnchanged)) announce("");
});

// `before` is a list of fields with their earlier values; without it, nothing can be undone.
export function announce(words, before = []) {
  filled = before.map(([field, value]) => ({ field, before: value, after: read(field) }));
  status.replaceChildren(words);
  if (filled.length) status.append(" ", undoButton());
}

// Fields that were changed later keep their values.
function undoButton() {
  const button = element("button", "btn btn-link btn-sm", "Undo");
  button.type = "button";
  button.addEventListener("click", () => {
    for (const each of filled.filter(isUnchanged)) fill(each.field, each.before);
    announce("Undone.");
    notifyChange();
  });
  return button;
}

function isUnchanged({ field, after }) {
  return same(read(field), after);
}
