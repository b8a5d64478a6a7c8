// The list of models: filters while the user types. The server filters by the same rules.

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

function find() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of cards) {
    card.hidden = !words.every((word) => card.dataset.words.includes(word));
  }
  const count = cards.filter((card) => !card.hidden).length;
  const all = `${cards.length} model${cards.length === 1 ? "" : "s"}`;
  found.textContent = words.length ? `${count} of ${all}` : all;
  nothing.hidden = count > 0;
  remember(field.value.trim());
}

/** Keep the search in the address, for links and reloads. */
function remember(search) {
  const address = new URL(location.href);
  if (search) {
    address.searchParams.set("q", search);
  } else {
    address.searchParams.delete("q");
  }
  history.replaceState(history.state, "", address);
}
