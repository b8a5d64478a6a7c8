// The nesting of fields, and their places in the row.

import { unstep } from "./values.js";

const INNER = {
  group: ":scope > [data-members] > [data-field], :scope > [data-members] > [data-section] > .fields > [data-field]",
  tuple: ":scope > [data-members] > [data-field]",
  list: ":scope > [data-items] > [data-item] > [data-body] > [data-field]",
  map: ":scope > [data-items] > [data-item] > [data-body] > [data-field]",
  recursive: ":scope > [data-items] > [data-item] > [data-body] > [data-field]",
  one_of: ":scope > [data-pane] > [data-field]",
};

// The fields directly within a field.
export function inner(field) {
  const selector = INNER[field.dataset.kind];
  return selector ? [...field.querySelectorAll(selector)] : [];
}

// Whether a field of an object is a named member, and not the members that a user adds.
export function isMember(field) {
  return !field.dataset.path.endsWith("/~m");
}

// The innermost field of a JSON Pointer, and the rest of the pointer within that field.
export function fieldAt(root, pointer) {
  const steps = pointer.split("/").slice(1);
  let field = root;
  let depth = 0;
  for (;;) {
    const own = inner(field);
    // These share a pointer with their content.
    if (field.dataset.kind === "one_of" || field.dataset.kind === "recursive") {
      const there = own.find((one) => !one.parentElement.hidden);
      if (!there) break;
      field = there;
      continue;
    }
    if (depth === steps.length) break;
    const step = unstep(steps[depth]);
    const next = own.find((one, index) => isAt(one, index, field.dataset.kind, step));
    const more = own.find((one) => !isMember(one));
    if (next) depth += 1;
    if (!next && !more) break;
    field = next ?? more;
  }
  return { field, inside: steps.slice(depth).map((step) => `/${step}`).join("") };
}

function isAt(field, index, kind, step) {
  if (kind === "list" || kind === "tuple") return String(index) === step;
  if (kind !== "map") return isMember(field) && field.dataset.key === step;
  const name = field.closest("[data-item]").querySelector(":scope > .field > [data-name]");
  return name.value === step;
}
