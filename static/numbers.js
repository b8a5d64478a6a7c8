// Formats numbers in the browser's language, for display only: never in JSON, CSV or fields.

const SIGNIFICANT = 6;
// Integers of up to four digits may be years and get no separator.
const UNGROUPED = 10000;
const SMALLEST = 1e-6;
const LARGEST = 1e21;

const LANGUAGE = known(navigator.language);
const ONE_PLACE = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 };

// A number for display: integers with all digits, others with six significant digits and all digits before
// the point. If `isYear`, integers of four digits have no separator.
export function rounded({ text }, isYear = true) {
  if (/^-?\d+$/.test(text)) return whole(BigInt(text), isYear);
  const number = Number(text);
  const size = Math.abs(number);
  if (!Number.isFinite(number)) return text;
  const before = Math.floor(Math.log10(size || 1)) + 1;
  const significant = Math.max(SIGNIFICANT, Math.min(before, 16));
  const value = Number(number.toPrecision(significant));
  if (needsPower(value)) return withPower(value);
  if (Number.isInteger(value)) return whole(BigInt(value), isYear);
  return format(value, { maximumSignificantDigits: significant });
}

// Several numbers of one column. They may be years only if all of them may.
export function roundedAll(numbers) {
  const areYears = numbers.every(({ text }) => Math.abs(Number(text)) < UNGROUPED);
  return numbers.map((each) => rounded(each, areYears));
}

export function count(number) {
  return whole(BigInt(number), false);
}

// Shares close to 0 and 1 are not rounded to them.
export function percent(share) {
  if (share > 0 && share < 0.001) return `< ${format(0.001, ONE_PLACE)}`;
  if (share < 1 && share > 0.999) return `> ${format(0.999, ONE_PLACE)}`;
  return format(share, ONE_PLACE);
}

// A share on an axis, with the decimals that the distance between two ticks requires.
export function percentTick(share, gap) {
  const places = Math.min(Math.max(0, Math.ceil(-Math.log10(gap * 100 || 1))), 4);
  return format(share, { style: "percent", minimumFractionDigits: places, maximumFractionDigits: places });
}

// A difference with its sign: of two shares in percentage points, or of two numbers.
export function pointsBetween(difference) {
  return format(difference * 100, { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
}

export function signed(difference) {
  const value = Number(difference.toPrecision(4));
  if (needsPower(value)) return `${value > 0 ? "+" : ""}${withPower(value)}`;
  return format(difference, { maximumSignificantDigits: 4, signDisplay: "exceptZero" });
}

function whole(number, isYear = true) {
  const size = number < 0n ? -number : number;
  return format(number, { useGrouping: !isYear || size >= UNGROUPED });
}

// Intl writes such numbers with all zeros, or rounds them to 0.
function needsPower(value) {
  const size = Math.abs(value);
  return size !== 0 && (size < SMALLEST || size >= LARGEST);
}

function withPower(value) {
  const [digits, power] = value.toExponential().split("e");
  return `${format(Number(digits), { maximumSignificantDigits: SIGNIFICANT })}e${power}`;
}

function format(number, options) {
  return new Intl.NumberFormat(LANGUAGE, { numberingSystem: "latn", ...options }).format(number);
}

// Some browsers return an invalid language tag, such as "en-US@posix".
function known(language) {
  try {
    return Intl.getCanonicalLocales(language)[0];
  } catch {
    return "en";
  }
}
