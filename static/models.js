// The list of models: filters while the user types. The server filters by the same rules.

import { recentNames } from "./recent.js";

const field = document.getElementById("q");
const found = document.getElementById("found");
const nothing = document.getElementById("nothing");
const cards = [...document.querySelectorAll("[data-words]")];

field.addEventListener("input", find);
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.select();
  }
});
find();
showRecent();

function find() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of cards) {
    card.hidden = !words.every((word) => card.dataset.words.includes(word));
  }
  const count = cards.filter((card) => !card.hidden).length;
  const all = `${cards.length} model${cards.length === 1 ? "" : "s"}`;
  found.textContent = words.length ? `${count} of ${all}` : all;
  nothing.hidden = count > 0;
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = ![...group.querySelectorAll("[data-words]")].some((card) => !card.hidden);
  }
  remember(field.value.trim());
}

// Links to the models that this browser used last.
function showRecent() {
  const links = recentNames().flatMap((name) => {
    const card = cards.find((each) => each.dataset.name === name);
    const target = card?.querySelector(".links .btn-primary");
    if (!target) return [];
    const link = document.createElement("a");
    link.href = target.href;
    link.textContent = card.querySelector("h2").textContent;
    return [link];
  });
  const recent = document.getElementById("recent");
  recent.append(...links);
  recent.hidden = links.length === 0;
}

// Keeps the search in the address, for links and reloads, and in the links that group the models.
function remember(search) {
  history.replaceState(history.state, "", withSearch(location.href, search));
  for (const link of document.querySelectorAll("[data-by]")) link.href = withSearch(link.href, search);
}

function withSearch(href, search) {
  const address = new URL(href);
  if (search) address.searchParams.set("q", search);
  else address.searchParams.delete("q");
  return address.href;
}
