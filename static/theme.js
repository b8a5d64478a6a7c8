// Light or dark, as the reader's system says. Runs before the page is drawn, so that nothing flashes.

const dark = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  const root = document.documentElement;
  root.dataset.bsTheme = dark.matches ? "dark" : "light";
  root.classList.toggle("dark-mode", dark.matches); // Swagger UI's own word for it
}

dark.addEventListener("change", follow);
follow();
