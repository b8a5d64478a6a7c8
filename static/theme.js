// Light or dark, as the reader chose, else as the system says. Runs before the page is drawn, so that
// nothing flashes.

const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem("theme") ?? "";
  } catch {
    return ""; // a browser may refuse to keep anything
  }
}

function choose(theme) {
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // it holds for this page alone
  }
  draw(theme);
}

function draw(theme) {
  const root = document.documentElement;
  root.dataset.bsTheme = theme || (system.matches ? "dark" : "light");
  root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark"); // Swagger UI's own word for it
}

draw(chosen());
system.addEventListener("change", () => draw(chosen()));
addEventListener("storage", () => draw(chosen()));
addEventListener("DOMContentLoaded", () => {
  const select = document.getElementById("theme");
  select.value = chosen();
  select.hidden = false;
  select.addEventListener("change", () => choose(select.value));
});
