// Fields of the form as targets of links, and marks on the sections that contain them.

import { showForm } from "./json_tab.js";
import { count } from "./numbers.js";
import { element } from "./values.js";

const form = document.getElementById("form");
const root = form.querySelector("[data-field]");

// A link that leads to a field; text if the field is the whole row.
export function linkTo(field, text, classes = "") {
  if (isRow(field)) return document.createTextNode(text);
  const link = element("a", classes, text);
  link.href = `#${target(field)?.id ?? form.id}`;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    showForm();
    focusOn(field);
  });
  return link;
}

// Focuses a field, opens its section, and clears the filter of a long form if that hides the field.
export function focusOn(field) {
  if (field.closest(".filtered")) clearFilter();
  const section = field.closest("[data-section]");
  if (section) section.open = true;
  target(field)?.focus({ preventScroll: true });
  field.scrollIntoView({ block: "center" });
}

function clearFilter() {
  const onlyBlank = document.getElementById("field-blank");
  document.getElementById("field-filter").value = "";
  onlyBlank.checked = false;
  onlyBlank.dispatchEvent(new Event("input"));
}

export function isRow(field) {
  return field === root && root.dataset.kind === "group";
}

// Writes into the heading of each section how many of its fields have an error or a caution.
export function markSections() {
  for (const section of form.querySelectorAll("[data-section]")) {
    const number = (selector) => section.querySelectorAll(`[data-field]${selector}`).length;
    const words = [named(number(".invalid"), "error"), named(number(".cautioned"), "caution")];
    section.querySelector("[data-marks]").textContent = words.filter(Boolean).join(", ");
  }
}

function named(number, name) {
  return number && `${count(number)} ${name}${number === 1 ? "" : "s"}`;
}

// The element to focus for a field: the selected control, else the first, else the field itself.
function target(field) {
  const all = [...field.querySelectorAll("input, select, textarea, button")].filter(isSeen);
  return all.find((control) => control.checked) ?? all[0] ?? field.querySelector("[tabindex]");
}

function isSeen(control) {
  return control.type !== "hidden" && !control.closest("[hidden]") && !control.disabled;
}
