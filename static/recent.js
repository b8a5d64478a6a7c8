// The models that this browser used last.

import { stored } from "./stored.js";

const MOST = 5;

const recent = stored("recent", (name) => typeof name === "string");

// The names, the last one first.
export const recentNames = recent.load;

export function addRecent(name) {
  recent.save([name, ...recentNames().filter((each) => each !== name)].slice(0, MOST));
}
