// Lists that this browser stores under "modelhost:", and nothing sends. static/theme.js removes them at logout.

// A stored list of that name. `isValid` filters its items: another program may have written them.
export function stored(name, isValid) {
  const key = `modelhost:${name}`;
  const listeners = [];
  const notify = () => listeners.forEach((listener) => listener());
  addEventListener("storage", (event) => event.key === key && notify());
  return {
    load() {
      try {
        const all = JSON.parse(localStorage.getItem(key));
        return Array.isArray(all) ? all.filter(isValid) : [];
      } catch {
        return []; // the browser blocks storage, or the value is not JSON
      }
    },
    // Whether there is room for the items.
    save(items) {
      try {
        if (items.length) localStorage.setItem(key, JSON.stringify(items));
        else localStorage.removeItem(key);
      } catch {
        return false;
      }
      notify();
      return true;
    },
    // Calls back after each change, also in another tab.
    onChange(listener) {
      listeners.push(listener);
    },
  };
}
