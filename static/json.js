// JSON that preserves the notation of numbers: 42.0, 1e-3 and 12345678901234567890 are written as they
// were read.

export class Digits {
  constructor(text) {
    this.text = text;
  }
}

// Throws a SyntaxError if the text is not JSON.
export function parse(text) {
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" ? new Digits(context?.source ?? String(value)) : value,
  );
}

// The value; undefined if the text is not JSON.
export function parsed(text) {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

export function stringify(value, indent = "", margin = "\n") {
  if (value instanceof Digits) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const deeper = margin + indent;
  const colon = indent ? ": " : ":";
  const parts = Array.isArray(value)
    ? value.map((item) => stringify(item, indent, deeper))
    : Object.entries(value).map(
        ([key, item]) => JSON.stringify(key) + colon + stringify(item, indent, deeper),
      );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (parts.length === 0) return open + close;
  return indent
    ? open + deeper + parts.join("," + deeper) + margin + close
    : open + parts.join(",") + close;
}

// Whether two values are equal as JSON: 1 equals 1.0, and the order of members does not matter.
export function same(one, other) {
  return stringify(sorted(one)) === stringify(sorted(other));
}

function sorted(value) {
  if (value === undefined || value === null || typeof value !== "object") return value ?? null;
  if (value instanceof Digits) return isLong(value.text) ? value : Number(value.text);
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}

// Whether a number is an integer that a double does not hold exactly.
export function isLong(text) {
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text));
}
