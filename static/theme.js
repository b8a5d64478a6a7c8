// The light or dark theme: the user's choice, else the system's. Runs before the page is drawn, to avoid
// flicker.

const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem("theme") ?? "";
  } catch {
    return ""; // the browser blocks storage
  }
}

function choose(theme) {
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // the choice applies to this page only
  }
  draw(theme);
}

function draw(theme) {
  const root = document.documentElement;
  root.dataset.bsTheme = theme || (system.matches ? "dark" : "light");
  root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark"); // the class that Swagger UI uses
}

draw(chosen());
system.addEventListener("change", () => draw(chosen()));
addEventListener("storage", () => draw(chosen()));
addEventListener("DOMContentLoaded", () => {
  document.querySelector(".logout")?.addEventListener("submit", forget);
  const select = document.getElementById("theme");
  select.value = chosen();
  select.hidden = false;
  select.addEventListener("change", () => choose(select.value));
});

// Removes what this browser stores of predictions, so that the next user of the computer does not see it.
function forget() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("modelhost:")) localStorage.removeItem(key);
  } catch {
    // nothing is stored
  }
}
