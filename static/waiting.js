// Shows how long a call has been running, and a button that cancels it.

import { rounded } from "./numbers.js";
import { Digits } from "./json.js";
import { element } from "./values.js";

// Shorter calls show nothing, in milliseconds.
const DELAY = 700;
// Usual durations below this are not shown, in seconds.
const SHORTEST = 1;

// Sends a request that the user can cancel while the box shows how long it runs. `send` receives a signal, and
// resolves to the response. `usual` is the usual duration in seconds, or NaN. After Cancel or Escape,
// `onCancel` is called; if the button had the focus at the end, `next` gets it. Returns {abort, response}: the
// response resolves to null once it is aborted.
export function waitFor(box, send, { usual = NaN, next, onCancel }) {
  const controller = new AbortController();
  const { signal } = controller;
  const cancel = () => {
    controller.abort();
    onCancel();
  };
  const end = show(box, usual, cancel, next);
  signal.addEventListener("abort", end);
  const response = send(signal).then((received) => {
    if (signal.aborted) return null;
    end();
    return received;
  });
  return { abort: () => controller.abort(), response };
}

// Returns a function that ends it.
function show(box, usual, cancel, next) {
  const started = performance.now();
  const time = element("span", "number");
  time.role = "timer";
  const button = element("button", "btn btn-quiet btn-sm", "Cancel");
  button.type = "button";
  button.addEventListener("click", cancel);
  const escape = (event) => event.key === "Escape" && cancel();
  const tick = () => (time.textContent = `${Math.floor((performance.now() - started) / 1000)} s`);
  let ticking = null;
  const delay = setTimeout(() => {
    tick();
    ticking = setInterval(tick, 1000);
    box.replaceChildren("Running, ", time, `. ${usualWords(usual)}`, button);
    box.hidden = false;
    document.addEventListener("keydown", escape);
  }, DELAY);
  return () => {
    clearTimeout(delay);
    clearInterval(ticking);
    document.removeEventListener("keydown", escape);
    if (box.contains(document.activeElement)) next.focus();
    box.hidden = true;
    box.replaceChildren();
  };
}

// The usual duration as a sentence that begins with these words; empty if it is short or unknown.
export function usualWords(seconds, start = "Usually") {
  if (!(seconds >= SHORTEST)) return "";
  const digits = new Digits(seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0));
  return `${start} ${rounded(digits)} s. `;
}
