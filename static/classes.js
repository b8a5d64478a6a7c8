// The order and the colours of classes: those of the output schema, and the same wherever a page shows them.

const COLOURS = 8;
// Beyond the colours that were chosen by eye: hues that lie far apart, however many there are, lighter or
// darker than those.
const FIRST_HUE = 120;
const GOLDEN_ANGLE = 137.508;

// By the place in an answer the names of its classes, in their order.
const known = new Map();

// These names in their order. `first` are all that the schema names, `names` those of an answer: what no
// schema names follows in the order in which it first came.
export function ordered(place, names, first = []) {
  if (!known.has(place)) known.set(place, []);
  const all = known.get(place);
  for (const name of [...first, ...names]) if (!all.includes(name)) all.push(name);
  return [...names].sort((one, other) => all.indexOf(one) - all.indexOf(other));
}

// The colour of a class, as CSS that follows light and dark.
export function colourOf(place, name) {
  return colourAt(Math.max(0, known.get(place)?.indexOf(name) ?? 0));
}

function colourAt(index) {
  if (index < COLOURS) return `var(--series-${index + 1})`;
  const hue = Math.round(FIRST_HUE + (index - COLOURS) * GOLDEN_ANGLE) % 360;
  return `oklch(var(--series-lightness) 0.13 ${hue})`;
}
