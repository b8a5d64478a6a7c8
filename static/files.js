// Files that are sent as base64. The form holds their content and shows their size.

import { bytes, size } from "./values.js";

// How the base64 of a picture begins.
const PICTURES = { iVBOR: "image/png", "/9j/": "image/jpeg", R0lGOD: "image/gif", UklGR: "image/webp" };

// By field: the file being read, and the reason for a rejected file.
const reading = new Map();
const rejections = new Map();

export function startFiles(form) {
  form.addEventListener("change", (event) => {
    if (event.target.type === "file" && event.target.files.length) take(event.target);
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-forget]");
    if (button) forget(button.closest("[data-field]"));
  });
}

// Sends the form a moment later if files are not read yet.
export function waitForFiles(event) {
  if (!reading.size) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const form = event.target;
  Promise.all(reading.values()).then(() => form.requestSubmit());
}

// Replaces the file of a field by base64 content.
export function setFile(field, base64) {
  reading.delete(field);
  rejections.delete(field);
  chooser(field).value = "";
  keep(field, base64);
}

// Rejected files as violations, as the row would lack them.
export function rejectedFiles(form) {
  const seen = [...rejections].filter(([field]) => form.contains(field) && !field.closest("[hidden]"));
  return seen.map(([field, detail]) => ({ pointer: field.dataset.field, detail }));
}

// Reads a chosen file. A file chosen later replaces it, even if this prefix is still being read.
function take(input) {
  const field = input.closest("[data-field]");
  const [file] = input.files;
  const most = Number(input.dataset.bytes);
  reading.delete(field);
  rejections.delete(field);
  if (file.size > most) {
    rejections.set(field, `expected at most ${bytes(most)}, ${file.name} has ${bytes(file.size)}`);
    return keep(field, "");
  }
  const mine = base64Of(file).then((base64) => {
    if (reading.get(field) !== mine) return;
    reading.delete(field);
    if (base64 === null) rejections.set(field, `cannot be read: ${file.name}`);
    keep(field, base64 ?? "");
    fireInput(field);
  });
  reading.set(field, mine);
  return keep(field, "");
}

function keep(field, base64) {
  content(field).value = base64;
  show(field);
}

function show(field) {
  const { value } = content(field);
  const words = rejections.has(field) ? `File rejected: ${rejections.get(field)}.` : reading.has(field) && "Reading the file …";
  field.querySelector("[data-file]").hidden = value === "" && !words;
  field.querySelector("[data-size]").textContent = words || size(value);
  const preview = field.querySelector("[data-preview]");
  const begin = Object.keys(PICTURES).find((prefix) => value.startsWith(prefix));
  preview.hidden = !begin;
  if (begin) preview.src = `data:${PICTURES[begin]};base64,${value}`;
  else preview.removeAttribute("src");
}

// Resolves to null if the file cannot be read.
function base64Of(file) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => resolve(null);
    reader.readAsDataURL(file);
  });
}

function forget(field) {
  setFile(field, "");
  fireInput(field);
  chooser(field).focus();
}

// The browser fires no event when a file is read or removed.
function fireInput(field) {
  chooser(field).dispatchEvent(new Event("input", { bubbles: true }));
}

function chooser(field) {
  return field.querySelector("[type=file]");
}

function content(field) {
  return field.querySelector("[data-content]");
}
