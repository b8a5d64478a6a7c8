// Lists that grow and shrink: items are added, removed and moved, and keep what was typed into them.

import { inner } from "./fields.js";

const PATHS = ["name", "data-path"];
const IDS = ["id", "for", "list", "aria-describedby", "aria-labelledby"];

// Adds the listeners of all lists. `started` is called with each new item.
export function startRows(form, started) {
  for (const list of form.querySelectorAll("[data-items]")) renumber(list.closest("[data-field]"));
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-change]");
    if (!button) return;
    const list = button.closest("[data-item]")?.parentElement.closest("[data-field]");
    if (button.dataset.change === "add") grow(button.closest("[data-field]"), started);
    else if (button.dataset.change === "remove") shrink(list, button.closest("[data-item]"));
    else move(list, button);
    form.dispatchEvent(new Event("input", { bubbles: true }));
  });
  form.addEventListener("rowadded", (event) => started(event.target));
}

// Sets the number of items. New items are blank.
export function setCount(list, count) {
  const box = items(list);
  while (box.childElementCount > count) box.lastElementChild.remove();
  while (box.childElementCount < count) add(list);
  renumber(list);
}

function grow(list, started) {
  const item = add(list);
  renumber(list);
  const first = item.querySelector("input:not([type=hidden]), select, textarea, button");
  first?.focus();
  announce(list, `Item ${items(list).childElementCount} added.`);
}

function shrink(list, item) {
  const next = item.nextElementSibling ?? item.previousElementSibling;
  const place = [...item.parentElement.children].indexOf(item) + 1;
  item.remove();
  renumber(list);
  const button = next?.querySelector(':scope > .item-buttons > [data-change="remove"]');
  (button ?? adder(list)).focus();
  announce(list, `Item ${place} removed, ${items(list).childElementCount} left.`);
}

function move(list, button) {
  const item = button.closest("[data-item]");
  if (button.dataset.change === "up") item.previousElementSibling?.before(item);
  else item.nextElementSibling?.after(item);
  renumber(list);
  const buttons = [...item.querySelectorAll(":scope > .item-buttons > [data-change]")];
  (button.disabled ? buttons.find((one) => !one.disabled) : button).focus();
  const place = [...item.parentElement.children].indexOf(item) + 1;
  announce(list, `Moved to position ${place} of ${items(list).childElementCount}.`);
}

function add(list) {
  const form = list.closest("form");
  const item = copy(form, "frame", list.dataset.kind);
  const body = item.querySelector("[data-body]");
  const field = copy(form, "template", list.dataset.template);
  const path = `${list.dataset.path}/~new`;
  retarget(field, field.dataset.path, path);
  retarget(item, "@", path);
  body.append(field);
  items(list).append(item);
  item.dispatchEvent(new Event("rowadded", { bubbles: true }));
  return item;
}

function copy(form, kind, name) {
  const template = form.querySelector(`template[data-${kind}="${CSS.escape(name)}"]`);
  return template.content.firstElementChild.cloneNode(true);
}

// Gives each item the names and ids of its position. In two steps, as radio buttons of one name would
// clear each other.
function renumber(list) {
  const all = [...items(list).children];
  all.forEach((item, index) => setPath(item, `${list.dataset.path}/~t${index}`));
  all.forEach((item, index) => setPath(item, `${list.dataset.path}/${step(list, index)}`));
  inner(list).forEach((field, index) => {
    if (list.dataset.kind === "list") field.dataset.key = String(index);
    const number = field.querySelector("[data-number]");
    if (number && list.dataset.kind === "list") number.textContent = String(index + 1);
  });
  for (const [index, item] of all.entries()) {
    const [up, down] = ["up", "down"].map((what) =>
      item.querySelector(`:scope > .item-buttons > [data-change="${what}"]`),
    );
    if (up) up.disabled = index === 0;
    if (down) down.disabled = index === all.length - 1;
  }
  if (list.dataset.kind === "recursive") adder(list).hidden = all.length > 0;
}

function setPath(item, path) {
  const field = item.querySelector(":scope > [data-body] > [data-field]");
  retarget(item, field.dataset.path, path);
}

function step(list, index) {
  return { list: String(index), map: `~k${index}`, recursive: "~v0" }[list.dataset.kind];
}

// Changes the path of a part of the form and of everything in it.
function retarget(part, from, to) {
  for (const element of [part, ...part.querySelectorAll("*")]) {
    for (const name of PATHS) change(element, name, (text) => moved(text, from, to));
    for (const name of IDS) {
      const each = (text) => moved(text, idOf(from), idOf(to));
      change(element, name, (text) => text.split(" ").map(each).join(" "));
    }
    if (element.dataset.path) {
      element.dataset.field = element.dataset.path.replaceAll(/\/~(v\d+|m)(?=\/|$)/g, "");
    }
  }
}

function change(element, name, update) {
  const text = element.getAttribute(name);
  if (text !== null && update(text) !== text) element.setAttribute(name, update(text));
}

function moved(text, from, to) {
  const rest = text.slice(from.length);
  return text.startsWith(from) && /^($|\/|~|-|\.2F)/.test(rest) ? to + rest : text;
}

// The same as `Field.id` in app/web/pages/forms/fields.py.
function idOf(path) {
  const quoted = encodeURIComponent(path).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `field${quoted.replaceAll(".", "%2E").replaceAll("%", ".")}`;
}

function items(list) {
  return list.querySelector(":scope > [data-items]");
}

function adder(list) {
  return list.querySelector(':scope > [data-change="add"]');
}

function announce(list, text) {
  list.querySelector(":scope > [data-status]").textContent = text;
}
