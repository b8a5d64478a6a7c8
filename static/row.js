// Conversions between the form's fields and a row. The `data-` attributes of a field describe it; they
// come from app/web/pages/forms. This module is independent of schemas.

import { rejectedFiles, setFile, startFiles, waitForFiles } from "./files.js";
import { Digits, parse, same, stringify } from "./json.js";
import { readBack } from "./numerals.js";
import { inner, isMember } from "./fields.js";
import { setCount, startRows } from "./lists.js";
import { controls, KINDS, startDates, getText, setText } from "./controls.js";
import { element, isObject } from "./values.js";

export { controls };

const READERS = {
  group: readGroup,
  tuple: readTuple,
  list: (field) => (inner(field).length ? inner(field).map(readItem) : blank(field, [])),
  map: readMap,
  recursive: (field) => (inner(field).length ? readItem(inner(field)[0]) : blank(field)),
  one_of: (field) => (selectedAlternative(field) ? read(selectedAlternative(field)) : blank(field)),
  multiselect: readMultiselect,
  file: (field) => content(field).value || blank(field),
};
const WRITERS = {
  group: writeGroup,
  tuple: (field, value) => inner(field).forEach((item, index) => write(item, value?.[index])),
  list: writeList,
  map: writeMap,
  recursive: writeRecursive,
  one_of: writeOneOf,
  multiselect: writeMultiselect,
  file: (field, value) => setFile(field, typeof value === "string" ? value : ""),
};

// Kinds that can represent null. In other fields, null is blank.
const NULLABLE_KINDS = ["choice", "fixed", "json"];

// The field's value; undefined if it is not sent.
export function read(field) {
  const { kind } = field.dataset;
  if (kind in READERS) return READERS[kind](field);
  const text = getText(field);
  const isBlank = text === "" && !("emptyText" in field.dataset);
  return isBlank ? blank(field, KINDS[kind].empty) : KINDS[kind].read(text, field);
}

// Shows the value in the field; undefined clears it.
export function fill(field, value) {
  write(field, value);
  settle(field.closest("form"));
}

// Prepares a new page.
export function start(form) {
  startParts(form);
  for (const list of outerLists(form)) list.dataset.initial = stringify(read(list) ?? null);
  startRows(form, (item) => {
    startDates(item);
    settle(form);
  });
  startFiles(form);
  form.addEventListener("input", (event) => {
    showEmptyText(event.target.closest("[data-empty-text]"), false);
    if ("pick" in event.target.dataset) switchAlternative(event.target);
    settle(form);
  });
  // In the phase before the page's own listener.
  form.addEventListener("submit", waitForFiles, { capture: true });
  settle(form);
}

// Resets what the browser does not.
export function restore(form) {
  for (const group of form.querySelectorAll("[data-given]")) group.removeAttribute("data-given");
  for (const field of form.querySelectorAll("[data-empty-text]")) showEmptyText(field, false);
  for (const list of outerLists(form)) {
    const begun = parse(list.dataset.initial);
    write(list, begun === null ? undefined : begun);
  }
  startParts(form);
  settle(form);
}

// Errors that are known before sending: rejected files and incomplete dates, whose text a browser shows
// but does not reveal to scripts.
export function unfinished(form) {
  const begun = [...form.querySelectorAll("[data-field] input")]
    .filter((control) => control.validity.badInput)
    .map((control) => control.closest("[data-field]").dataset.field);
  const dates = begun.map((pointer) => ({ pointer, detail: "is incomplete" }));
  return [...dates, ...rejectedFiles(form)];
}

function startParts(form) {
  startDates(form);
  for (const field of form.querySelectorAll('[data-kind="file"]')) {
    setFile(field, content(field).dataset.content);
  }
}

// The lists that are not inside another list, which restores them.
function outerLists(form) {
  return [...form.querySelectorAll("[data-items]")]
    .map((items) => items.closest("[data-field]"))
    .filter((list) => !list.parentElement.closest("[data-items]"));
}

// Shows the selected alternatives, and the members whose condition is met.
function settle(form) {
  for (const pick of form.querySelectorAll("[data-pick]")) {
    const panes = pick.closest("[data-field]").querySelectorAll(":scope > [data-pane]");
    for (const pane of panes) pane.hidden = pane.dataset.pane !== pick.value;
  }
  for (const field of form.querySelectorAll("[data-condition]")) field.hidden = !meetsCondition(field);
  for (const map of form.querySelectorAll('[data-kind="map"]')) markDuplicates(inner(map).map(nameOf));
  for (const field of form.querySelectorAll('[data-kind="number"]')) showRead(field);
}

// Shows the parsed number below a long or unusually formatted one.
function showRead(field) {
  const [control] = controls(field);
  const words = readBack(control.value);
  let note = field.querySelector(":scope > .field-read");
  if (!note && words) {
    note = element("p", "field-hint field-read");
    note.id = `${control.id}-read`;
    control.closest(".with-unit").after(note);
    control.setAttribute("aria-describedby", `${note.id} ${control.getAttribute("aria-describedby") ?? ""}`);
  }
  if (note && note.textContent !== words) note.textContent = words;
}

function markDuplicates(names) {
  names.forEach((name, index) => {
    const isTwice = names.slice(0, index).some((one) => one.value === name.value);
    name.closest(".field").querySelector("[data-twice]").hidden = !isTwice;
  });
}

function meetsCondition(field) {
  const { met, members } = parse(field.dataset.condition);
  const siblings = inner(field.parentElement.closest("[data-field]"));
  const isMet = Object.entries(members).every(([key, { values, missing }]) => {
    const sibling = siblings.find((one) => one.dataset.key === key);
    const value = sibling && !sibling.hidden ? read(sibling) : undefined;
    return value === undefined ? missing : values === null || values.some((one) => same(one, value));
  });
  return isMet === met;
}

// Copies the members that both alternatives have.
function switchAlternative(pick) {
  const field = pick.closest("[data-field]");
  const panes = [...field.querySelectorAll(":scope > [data-pane]")];
  const [before, after] = [panes.find((pane) => !pane.hidden), panes[Number(pick.value || -1)]];
  if (!before || !after) return;
  const known = inner(before.querySelector("[data-field]"));
  for (const member of inner(after.querySelector("[data-field]"))) {
    const { key, kind } = member.dataset;
    const counterpart = known.find((one) => one.dataset.key === key && one.dataset.kind === kind);
    if (counterpart && kind !== "fixed" && !controls(member).some(isChanged)) write(member, read(counterpart));
  }
}

function readItem(field) {
  return read(field) ?? null;
}

function readGroup(group) {
  if (group.dataset.blank !== "empty" && !hasInput(group)) return blank(group);
  const row = {};
  for (const field of inner(group)) {
    if (field.dataset.condition && field.hidden) continue;
    const value = read(field);
    if (value === undefined) continue;
    if (isMember(field)) define(row, field.dataset.key, value);
    else for (const [key, more] of Object.entries(value)) define(row, key, more);
  }
  return row;
}

// Works for any key, "__proto__" included.
function define(row, key, value) {
  Object.defineProperty(row, key, { value, enumerable: true, configurable: true, writable: true });
}

function writeGroup(group, value) {
  const isGiven = isObject(value);
  group.toggleAttribute("data-given", isGiven);
  const known = new Set(inner(group).filter(isMember).map((field) => field.dataset.key));
  for (const field of inner(group)) {
    const { key } = field.dataset;
    if (isMember(field)) write(field, isGiven && Object.hasOwn(value, key) ? value[key] : undefined);
    else write(field, isGiven ? without(value, known) : undefined);
  }
}

function without(value, keys) {
  const rest = Object.entries(value).filter(([key]) => !keys.has(key));
  return rest.length ? Object.fromEntries(rest) : undefined;
}

function readTuple(field) {
  if (field.dataset.blank !== "empty" && !hasInput(field)) return blank(field);
  const items = inner(field).map(read);
  while (items.length && items.at(-1) === undefined) items.pop();
  return items.map((item) => item ?? null);
}

function writeList(field, value) {
  const items = Array.isArray(value) ? value : [];
  setCount(field, Array.isArray(value) ? items.length : 0);
  inner(field).forEach((item, index) => write(item, items[index]));
}

function readMap(field) {
  const members = inner(field);
  if (!members.length) return blank(field, {});
  const row = {};
  for (const member of members) define(row, nameOf(member).value, readItem(member));
  return row;
}

function writeMap(field, value) {
  const entries = isObject(value) ? Object.entries(value) : [];
  setCount(field, entries.length);
  inner(field).forEach((member, index) => {
    nameOf(member).value = entries[index][0];
    write(member, entries[index][1]);
  });
}

function nameOf(member) {
  return member.closest("[data-item]").querySelector(":scope > .field > [data-name]");
}

function writeRecursive(field, value) {
  const isThere = value !== undefined && !(value === null && field.dataset.blank === "null");
  setCount(field, isThere ? 1 : 0);
  if (isThere) write(inner(field)[0], value);
}

function selectedAlternative(field) {
  const { value } = field.querySelector(":scope > [data-pick]");
  return value === "" ? null : inner(field)[Number(value)];
}

// Selects the first alternative that represents the value exactly, else the first of its kind.
function writeOneOf(field, value) {
  const alternatives = inner(field);
  const pick = field.querySelector(":scope > [data-pick]");
  const isNone = value === undefined || (value === null && field.dataset.blank === "null");
  let found = isNone ? -1 : alternatives.findIndex((one) => canHold(one, value));
  if (found < 0 && !isNone && value !== null) found = Math.max(0, alternatives.findIndex((one) => isOfKind(one, value)));
  alternatives.forEach((one, index) => write(one, index === found ? value : undefined));
  pick.value = found < 0 ? "" : String(found);
}

function canHold(field, value) {
  write(field, value);
  return same(read(field), value);
}

function isOfKind(field, value) {
  const { kind } = field.dataset;
  if (Array.isArray(value)) return ["list", "tuple", "numbers", "lines", "multiselect"].includes(kind);
  if (value instanceof Digits) return kind === "number";
  if (isObject(value)) return ["group", "map"].includes(kind) && hasTags(field, value);
  return ["text", "local", "datetime"].includes(kind);
}

function hasTags(field, value) {
  const fixed = inner(field).filter((one) => one.dataset.kind === "fixed");
  return fixed.every((one) => same(read(one), value[one.dataset.key]));
}

function readMultiselect(field) {
  const ticked = controls(field).filter((control) => control.checked);
  return ticked.length ? ticked.map((control) => parse(control.value)) : blank(field, []);
}

function writeMultiselect(field, value) {
  const items = Array.isArray(value) ? value : [];
  for (const control of controls(field)) {
    control.checked = items.some((item) => same(item, parse(control.value)));
  }
}

function content(field) {
  return field.querySelector("[data-content]");
}


function write(field, value) {
  const { kind } = field.dataset;
  if (kind in WRITERS) return WRITERS[kind](field, value);
  if (kind === "text" && field.dataset.blank !== "empty") showEmptyText(field, value === "");
  const isBlank = value === undefined || (value === null && !NULLABLE_KINDS.includes(kind));
  return setText(field, isBlank && kind !== "fixed" ? "" : KINDS[kind].write(value, field));
}

// Distinguishes an empty text that was filled in from a blank field.
function showEmptyText(field, isEmptyText) {
  if (!field) return;
  field.toggleAttribute("data-empty-text", isEmptyText);
  controls(field)[0].placeholder = isEmptyText ? "(empty text)" : "";
}

function blank(field, empty) {
  return { omit: undefined, null: null, empty }[field.dataset.blank];
}

// Whether a user or an example filled in a part of the form. Initial values do not count.
export function hasInput(group) {
  const inside = controls(group);
  if (inside.some(isChanged) || [...group.querySelectorAll("[data-items]")].some(isLonger)) return true;
  return "given" in group.dataset && inside.some((control) => control.value !== "");
}

function isLonger(items) {
  return items.childElementCount !== Number(items.dataset.items);
}

function isChanged(control) {
  if ("initial" in control.dataset) return control.value !== control.dataset.initial;
  if ("content" in control.dataset) return control.value !== control.dataset.content;
  if (["radio", "checkbox"].includes(control.type)) return control.checked !== control.defaultChecked;
  if (control.options) return [...control.options].some((one) => one.selected !== one.defaultSelected);
  return control.value !== control.defaultValue;
}
