// Calls of the API.

import { parsed, stringify } from "./json.js";

// Predicts a row or rows. `isCautious` returns `cautions` too: those about the row, or a list of them for
// each row. Resolves to what `postRows` does.
export async function predictRows(address, body, { isCautious, ...options }) {
  if (!isCautious) return postRows(address, body, options);
  const response = await postRows(`${address}?caution=true`, body, options);
  if (response.problem) return response;
  const results = response.answer;
  const [answer, cautions] = ["prediction", "cautions"].map((name) => (
    Array.isArray(results) ? results.map((result) => result[name]) : results[name]
  ));
  return { ...response, answer, cautions, text: stringify(answer) };
}

// Resolves to {answer, milliseconds, inModel, version, runtime, identity, isLogged, requestId}, or {problem} (RFC 9457), never throws.
export async function postRows(address, body, options = {}) {
  const started = performance.now();
  let response, text;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": options.type ?? "application/json", Accept: "application/json", ...options.headers },
      body,
      signal: options.signal,
    });
    text = await response.text();
  } catch (error) {
    return { problem: error.name === "AbortError" ? { isStopped: true } : UNREACHED };
  }
  const content = parsed(text);
  if (content === undefined) return { problem: notJson(response) };
  if (!response.ok) return { problem: withWait(content, response) };
  const described = source(response);
  document.dispatchEvent(new CustomEvent("modelhost:answered", { detail: { address, identity: described.identity } }));
  return { answer: content, text, ...described, milliseconds: performance.now() - started };
}

// Headers of predictions for rows that a page varies on its own, which are not logged.
export const TRIED = { "X-Modelhost-Purpose": "what-if" };

// Predicts rows independently of one another. Resolves to {results}, each {prediction} or {problem}, with
// cautions if `isCautious`, or to {problem} if there are none.
export async function predictEach(address, rows, { isCautious, ...options }) {
  const query = isCautious ? "?partial=true&caution=true" : "?partial=true";
  const { answer, ...response } = await postRows(`${address}${query}`, stringify(rows), options);
  return response.problem ? response : { ...response, results: answer.map(withStatus) };
}

// A result whose problem, if it has one, has its status as a number.
function withStatus(result) {
  const { problem } = result;
  return problem ? { ...result, problem: { ...problem, status: Number(problem.status.text) } } : result;
}

const UNREACHED = {
  title: "The server could not be reached",
  detail: "Your input is kept. Check the connection, then try again.",
};

function notJson(response) {
  return {
    title: `The response (${response.status}) is not JSON`,
    detail: "A proxy between this page and the server may have sent it. Your input is kept.",
  };
}

function withWait(problem, response) {
  const status = response.status;
  const seconds = Number(response.headers.get("Retry-After"));
  if (!seconds) return { ...problem, status };
  const start = problem.detail ? `${problem.detail.replace(/[.\s]*$/, ".")} ` : "";
  const detail = `${start}Try again in ${seconds} s.`;
  return { ...problem, status, detail, seconds };
}

// What changes if the model is replaced: its file, or its version without one.
export function identityOf(response) {
  return response.headers.get("X-Model-SHA256") ?? response.headers.get("X-Model-Version") ?? "";
}

function source(response) {
  const timing = /\bpredict;dur=([\d.]+)/.exec(response.headers.get("Server-Timing") ?? "");
  return {
    inModel: timing ? Number(timing[1]) : null,
    version: response.headers.get("X-Model-Version") ?? "",
    runtime: response.headers.get("X-Model-Runtime") ?? "",
    identity: identityOf(response),
    isLogged: response.headers.get("X-Logged-Rows") !== "0",
    requestId: response.headers.get("X-Request-ID") ?? "",
  };
}
