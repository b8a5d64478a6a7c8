// The row in the fragment of the page's address. Browsers do not send fragments to servers.

import { copyBy } from "./clipboard.js";
import { showWhole, text } from "./input.js";
import { parsed } from "./json.js";

const KEY = "#row=";
// The row is predicted when the link is opened.
const PREDICT_KEY = "#predict=";
// Mail programs and chats cut longer links.
const LONGEST = 8000;

const button = document.getElementById("copy-link");
const status = document.getElementById("link-status");

let isPredicted = false;

button.addEventListener("click", () => {
  const link = linkTo(text(), isPredicted ? PREDICT_KEY : KEY);
  if (link.length <= LONGEST) return copyBy(button, link);
  status.textContent = "This input is too long for a link. Copy the JSON instead.";
});

// Whether a copied link leads to the prediction, and not only to the input.
export function linkToPrediction(is) {
  isPredicted = is;
}

// Writes a row into the address, for reloads and bookmarks.
export function writeAddress(row) {
  const link = linkTo(row);
  history.replaceState(null, "", link.length <= LONGEST ? link : location.pathname);
  status.textContent = "";
}

// Reloads the page with a row.
export function reloadWith(row) {
  history.replaceState(null, "", row ? linkTo(row) : location.pathname);
  location.reload();
}

// Removes the row from the address.
export function clearAddress() {
  history.replaceState(null, "", location.pathname);
  status.textContent = "";
}

// Shows the row in the address, if any. Returns whether it is to be predicted.
export function readAddress() {
  const key = [KEY, PREDICT_KEY].find((each) => location.hash.startsWith(each));
  if (!key) return false;
  const row = parsed(decoded(location.hash.slice(key.length)));
  if (row !== undefined) showWhole(row);
  else status.textContent = "The row in this address is incomplete, so the form is empty.";
  return row !== undefined && key === PREDICT_KEY;
}

function linkTo(row, key = KEY) {
  return `${location.origin}${location.pathname}${key}${encodeURIComponent(row)}`;
}

function decoded(given) {
  try {
    return decodeURIComponent(given);
  } catch {
    return "";
  }
}
