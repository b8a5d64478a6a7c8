// Files that are sent as base64: the form holds their content, and shows how large it is.

// How the base64 of a picture begins.
const PICTURES = { iVBOR: "image/png", "/9j/": "image/jpeg", R0lGOD: "image/gif", UklGR: "image/webp" };

// Files that are being read.
let reading = null;

export function startFiles(form) {
  form.addEventListener("change", (event) => {
    if (event.target.type === "file") reading = keep(event.target).finally(() => (reading = null));
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-forget]");
    if (button) forget(button.closest("[data-field]"));
  });
}

// Sends the form a moment later if a file is not read yet.
export function waitForFiles(event) {
  if (!reading) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const form = event.target;
  reading.then(() => form.requestSubmit());
}

export function showFile(field) {
  const { value } = content(field);
  const padding = value.endsWith("==") ? 2 : Number(value.endsWith("="));
  const size = Math.max(0, Math.floor((value.length * 3) / 4) - padding);
  field.querySelector("[data-file]").hidden = value === "";
  field.querySelector("[data-size]").textContent = `${size.toLocaleString("en")} bytes`;
  const preview = field.querySelector("[data-preview]");
  const begin = Object.keys(PICTURES).find((one) => value.startsWith(one));
  preview.hidden = !begin;
  if (begin) preview.src = `data:${PICTURES[begin]};base64,${value}`;
  else preview.removeAttribute("src");
}

async function keep(input) {
  const [file] = input.files;
  if (!file) return;
  const field = input.closest("[data-field]");
  content(field).value = await base64(file);
  showFile(field);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

function forget(field) {
  content(field).value = "";
  field.querySelector("[type=file]").value = "";
  showFile(field);
  field.querySelector("[type=file]").focus();
}

function content(field) {
  return field.querySelector("[data-content]");
}
