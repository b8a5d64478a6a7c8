// Errors of the input or the call: in a list above the form, and beside each field.

import { copyBy } from "./clipboard.js";
import { fieldAt } from "./fields.js";
import { isJsonShown, json } from "./json_tab.js";
import { focusOn, isRow, linkTo, markSections } from "./places.js";
import { controls } from "./row.js";
import { element, sentence } from "./values.js";

const form = document.getElementById("form");
const root = form.querySelector("[data-field]");
// The label of an item without a title: UNNAMED_ITEM in app/web/pages/forms/controls.py.
const UNNAMED = "Item";

// The details of most violations continue a sentence that begins with the field.
const VERB = /^(is|must|has|does|was|can|cannot)\b/;
const REQUIRED = "is required";
// Statuses of a model or a server that failed on this input.
const FAILED = [500, 502, 504];
const ADVICE = "Your input is kept. Try again, or send the administrator of this portal the request id:";

const alert = document.getElementById("alert");

// `violations` are {pointer, detail}, as the API's problem documents have them in `errors`.
export function showViolations(violations) {
  const list = element("ul");
  const fields = violations.map(({ pointer, detail }) => {
    const { field, inside } = fieldAt(root, pointer);
    markInvalid(field, inside, detail);
    list.append(line(field, inside, detail));
    return field;
  });
  const title = violations.length === 1 ? "1 error in the input:" : `${violations.length} errors in the input:`;
  alert.replaceChildren(element("p", "alert-title", title), list);
  alert.hidden = false;
  markSections();
  const first = fields.find((field) => field !== root) ?? root;
  if (isJsonShown()) json.focus();
  else if (isRow(first)) alert.scrollIntoView({ block: "nearest" });
  else focusOn(first);
}

// `problem` is a problem document (RFC 9457).
export function showProblem({ title, detail, status, request_id: requestId }) {
  alert.replaceChildren(element("p", "alert-title", title));
  if (detail) alert.append(element("p", "as-typed", sentence(detail)));
  if (status === 401) alert.append(loginLink());
  if (FAILED.includes(status)) alert.append(element("p", "", ADVICE));
  if (requestId) alert.append(requestLine(requestId));
  alert.hidden = false;
  alert.scrollIntoView({ block: "nearest" });
}

function requestLine(requestId) {
  const line = element("p", "request-id", `Request ${requestId} `);
  const button = element("button", "btn btn-quiet btn-sm", "Copy");
  button.type = "button";
  button.addEventListener("click", () => copyBy(button, requestId));
  line.append(button);
  return line;
}

// In another tab, which keeps the input of this one.
function loginLink() {
  const line = element("p", "", "Your input is kept: ");
  const link = element("a", "alert-link", "log in in another tab");
  link.href = form.dataset.login;
  link.target = "_blank";
  line.append(link, ", then try again.");
  return line;
}

// A violation of the field of that name, as text.
export function violationText(name, detail) {
  return VERB.test(detail) ? `${name} ${detail}` : `${name}: ${detail}`;
}

export function clearProblems() {
  alert.hidden = true;
  alert.replaceChildren();
  for (const box of form.querySelectorAll("[data-error]")) box.replaceChildren();
  for (const field of form.querySelectorAll(".invalid")) field.classList.remove("invalid");
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
  markSections();
}

function line(field, inside, detail) {
  const item = element("li");
  item.append(linkTo(field, violationText(where(field, inside), detail), "alert-link"));
  return item;
}

function where(field, inside) {
  const step = inside.slice(1);
  if (field === root && step) return step;
  return step ? `${nameOf(field)} (${step})` : nameOf(field);
}

// The label of a field; for an item, with that of its list.
function nameOf(field) {
  const tuple = field.parentElement.closest("[data-field]");
  if (tuple?.dataset.kind === "tuple" && field.dataset.label === UNNAMED) {
    const places = [...tuple.querySelectorAll("[data-field]")].filter(
      (inner) => inner.parentElement.closest("[data-field]") === tuple,
    );
    return `${nameOf(tuple)} ${places.indexOf(field) + 1}`;
  }
  const item = field.closest("[data-item]");
  const list = item?.parentElement.closest("[data-field]");
  if (!list || list.dataset.kind !== "list") return field.dataset.label;
  const place = [...item.parentElement.children].indexOf(item) + 1;
  const isItem = field.parentElement.parentElement === item;
  return `${nameOf(list)} ${place}${isItem ? "" : `, ${field.dataset.label}`}`;
}

function markInvalid(field, inside, detail) {
  const box = field.querySelector(":scope > [data-error]");
  if (!box) return;
  const step = inside.slice(1);
  const words = detail === REQUIRED ? "required" : detail;
  box.append(element("span", "", step ? `${step}: ${words}` : words));
  field.classList.add("invalid");
  if (["group", "tuple", "list", "map", "recursive"].includes(field.dataset.kind)) return;
  const own = controls(field).filter((control) => control.closest("[data-field]") === field);
  for (const control of own) control.ariaInvalid = "true";
}
