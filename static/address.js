// The row in the fragment of the page's address. Browsers do not send fragments to servers.

import { copyBy } from "./clipboard.js";
import { showWhole, text } from "./input.js";
import { parsed } from "./json.js";

const KEY = "#row=";
// Mail programs and chats cut longer links.
const LONGEST = 8000;

const button = document.getElementById("copy-link");
const status = document.getElementById("link-status");

button.addEventListener("click", () => {
  const link = linkTo(text());
  if (link.length <= LONGEST) return copyBy(button, link);
  status.textContent = "This input is too long for a link. Copy the JSON instead.";
});
addEventListener("hashchange", readAddress);

// Writes a row into the address, for reloads and bookmarks.
export function writeAddress(row) {
  const link = linkTo(row);
  history.replaceState(null, "", link.length <= LONGEST ? link : location.pathname);
  status.textContent = "";
}

// Removes the row from the address.
export function clearAddress() {
  history.replaceState(null, "", location.pathname);
  status.textContent = "";
}

// Shows the row in the address, if any.
export function readAddress() {
  if (!location.hash.startsWith(KEY)) return;
  const row = parsed(decoded(location.hash.slice(KEY.length)));
  if (row !== undefined) showWhole(row);
  else status.textContent = "The row in this address is incomplete, so the form is empty.";
}

function linkTo(row) {
  return `${location.origin}${location.pathname}${KEY}${encodeURIComponent(row)}`;
}

function decoded(given) {
  try {
    return decodeURIComponent(given);
  } catch {
    return "";
  }
}
