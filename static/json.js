// JSON whose numbers keep the digits they were written with: 42.0, 1e-3 and 12345678901234567890
// come out as they went in.

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

export class Digits {
  constructor(text) {
    this.text = text;
  }
}

// What a person typed, as a number if it is one, else as the text it is.
export function number(typed) {
  const text = typed.trim();
  if (NUMBER.test(text)) return new Digits(text);
  // JSON wants a digit before the point and no plus sign; people do not.
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text))) {
    return new Digits(String(Number(text)));
  }
  return typed;
}

// Throws a SyntaxError for what is not JSON.
export function parse(text) {
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" ? new Digits(context?.source ?? String(value)) : value,
  );
}

// The value; undefined where the text is no JSON.
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

// Whether two values are the same JSON, in whatever order their members come: 1 is 1.0.
export function same(one, other) {
  return stringify(sorted(one)) === stringify(sorted(other));
}

function sorted(value) {
  if (value === undefined || value === null || typeof value !== "object") return value ?? null;
  if (value instanceof Digits) return Number(value.text);
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
