// The models that this browser used last. static/theme.js removes the names at logout.

const KEY = "modelhost:recent";
const MOST = 5;

// The names, the last one first.
export function recentNames() {
  try {
    const names = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return []; // the browser blocks storage, or another program's value is under this key
  }
}

export function addRecent(name) {
  const names = [name, ...recentNames().filter((each) => each !== name)];
  try {
    localStorage.setItem(KEY, JSON.stringify(names.slice(0, MOST)));
  } catch {
    // the list stays as it is
  }
}
