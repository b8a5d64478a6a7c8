// The row in the page's address, behind the #: a link carries it, and no server's log sees it.

import { copyBy } from "./clipboard.js";
import { showWhole, text } from "./input.js";
import { parsed } from "./json.js";

const KEY = "#row=";
// Beyond this, mail programs and chats cut a link.
const LONGEST = 8000;

const button = document.getElementById("copy-link");
const status = document.getElementById("link-status");

button.addEventListener("click", () => {
  const link = linkTo(text());
  if (link.length <= LONGEST) return copyBy(button, link);
  status.textContent = "This input is too long for a link. Copy the JSON instead.";
});
addEventListener("hashchange", readAddress);

// Writes what was asked into the address, so that a reload or a bookmark has it.
export function writeAddress(row) {
  const link = linkTo(row);
  history.replaceState(null, "", link.length <= LONGEST ? link : location.pathname);
  status.textContent = "";
}

// Forgets the row that the address has.
export function clearAddress() {
  history.replaceState(null, "", location.pathname);
  status.textContent = "";
}

// Shows the row that the address has, if it has one.
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
