// What is wrong with the input, or with the call: above the form in a list, and beside each field.

import { element } from "./answer.js";
import { isJsonShown, json, showForm } from "./jsontab.js";
import { controls } from "./row.js";

const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
const alert = document.getElementById("alert");

// `violations` are {pointer, detail}, as the API's problem documents have them in `errors`.
export function showViolations(violations) {
  const list = element("ul");
  const fields = violations.map(({ pointer, detail }) => {
    const field = fieldAt(pointer);
    markInvalid(field, pointer, detail);
    list.append(line(field, pointer, detail));
    return field;
  });
  const title = violations.length === 1 ? "One thing needs" : `${violations.length} things need`;
  alert.replaceChildren(element("p", "alert-title", `${title} another look:`), list);
  alert.hidden = false;
  if (isJsonShown()) json.focus();
  else focusOn(fields.find((field) => field !== root) ?? root);
}

// `problem` is a problem document (RFC 9457).
export function showProblem({ title, detail, request_id: requestId }) {
  alert.replaceChildren(element("p", "alert-title", title));
  if (detail) alert.append(element("p", "as-typed", detail));
  if (requestId) alert.append(element("p", "request-id", `Request ${requestId}`));
  alert.hidden = false;
  alert.scrollIntoView({ block: "nearest" });
}

export function clearProblems() {
  alert.hidden = true;
  alert.replaceChildren();
  for (const box of form.querySelectorAll("[data-error]")) box.replaceChildren();
  for (const field of form.querySelectorAll(".invalid")) field.classList.remove("invalid");
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}

function line(field, pointer, detail) {
  const made = element("li");
  const text = `${where(field, pointer)}: ${detail}`;
  const [control] = controls(field);
  if (field === root && root.dataset.kind === "group") {
    made.textContent = text;
    return made;
  }
  const link = element("a", "alert-link", text);
  link.href = `#${control.id}`;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    showForm();
    focusOn(field);
  });
  made.append(link);
  return made;
}

// The field of a pointer; for what lies within one field, that field.
function fieldAt(pointer) {
  for (let place = pointer; place !== ""; place = place.slice(0, place.lastIndexOf("/"))) {
    const field = form.querySelector(`[data-field="${CSS.escape(place)}"]`);
    if (field) return field;
  }
  return root;
}

function where(field, pointer) {
  const inside = pointer.slice(field.dataset.field.length + 1);
  if (field === root && inside) return inside;
  return inside ? `${field.dataset.label} (${inside})` : field.dataset.label;
}

function markInvalid(field, pointer, detail) {
  const box = field.querySelector(":scope > [data-error]");
  if (!box) return;
  const inside = pointer.slice(field.dataset.field.length + 1);
  box.append(element("span", "", inside ? `${inside}: ${detail}` : detail));
  field.classList.add("invalid");
  if (field.dataset.kind === "group") return;
  for (const control of controls(field)) control.ariaInvalid = "true";
}

function focusOn(field) {
  const all = controls(field).filter((control) => control.type !== "hidden");
  const target = all.find((control) => control.checked) ?? all[0];
  if (field === root && root.dataset.kind === "group") return alert.scrollIntoView({ block: "nearest" });
  target?.focus({ preventScroll: true });
  return field.scrollIntoView({ block: "center" });
}
