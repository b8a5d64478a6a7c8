// Files that are too large for this page: the server predicts them in a job.

// Above this size, or if the server finds too many rows, a file becomes a job.
const LARGE_BYTES = 4_000_000;
// The bytes at its beginning from which the page shows its columns.
const HEAD_BYTES = 65_536;
const LINE_FEED = 10;
const LINES = /\.(ndjson|jsonl)(\.(gz|zst))?$/i;
const PACKED = /\.(gz|zst|xlsx)$/i;
const PARQUET = /\.parquet$/i;

// Whether the page reads no rows of the file itself. `most` is the largest request body in bytes.
export function isLarge(file, most) {
  return file.size > Math.min(LARGE_BYTES, most) || LINES.test(file.name) || PARQUET.test(file.name);
}

// Whether the beginning of the file can be read by itself.
export function hasHead(file) {
  return ![LINES, PACKED, PARQUET].some((form) => form.test(file.name));
}

// Resolves to the first lines of a CSV file, or to null if it cannot be read. The last line may be cut inside quotes.
export async function headOf(file) {
  const content = await file.slice(0, HEAD_BYTES).arrayBuffer().catch(() => null);
  if (content === null || file.size <= HEAD_BYTES) return content;
  const octets = new Uint8Array(content);
  let end = octets.lastIndexOf(LINE_FEED) + 1;
  // In UTF-16, a line feed has two bytes, and the one of little-endian text comes first.
  if (end % 2 === 1 && octets[end] === 0) end += 1;
  return content.slice(0, end || HEAD_BYTES);
}

// Sends a file to create a job. Resolves to {answer} or {problem}; `showProgress` receives the share that is sent.
export function sendFile(address, file, { showProgress, signal }) {
  return new Promise((resolve) => {
    // Unlike fetch, this reports the progress of an upload.
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Content-Type", mediaType(file.name));
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", ({ loaded, total }) => showProgress(total ? loaded / total : 0));
    request.addEventListener("load", () => resolve(read(request)));
    request.addEventListener("error", () => resolve({ problem: UNSENT }));
    request.addEventListener("abort", () => resolve({ problem: { isStopped: true } }));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function mediaType(name) {
  if (PARQUET.test(name)) return "application/vnd.apache.parquet";
  return LINES.test(name) ? "application/x-ndjson" : "text/csv";
}

const UNSENT = { title: "The file could not be sent", detail: "Check the connection, then try again." };

function read({ status, responseText }) {
  try {
    const content = JSON.parse(responseText);
    return status < 300 ? { answer: content } : { problem: { ...content, status } };
  } catch {
    return { problem: { title: `The response (${status}) is not JSON`, detail: "A proxy may limit the size of files." } };
  }
}
