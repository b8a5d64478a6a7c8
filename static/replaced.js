// A notice that the model was replaced after the page was loaded: the form may have other fields than the model.

import { reloadWith } from "./address.js";
import { identityOf } from "./api.js";
import { text } from "./input.js";

const notice = document.getElementById("replaced");
const { address, identity } = notice.dataset;

document.addEventListener("modelhost:answered", ({ detail }) => {
  if (detail.address.startsWith(`${address}/`)) compare(detail.identity);
});
notice.querySelector("button").addEventListener("click", () => reloadWith(text()));

// Compares the model with that of the page after a problem, whose response does not identify the model. Resolves to
// the identity of the model; undefined if it is unknown.
export async function checkModel() {
  try {
    const response = await fetch(address, { method: "HEAD" });
    if (!response.ok) return undefined;
    compare(identityOf(response));
    return identityOf(response);
  } catch {
    return undefined; // the server could not be reached
  }
}

function compare(current) {
  if (identity && current) notice.hidden = current === identity;
}
