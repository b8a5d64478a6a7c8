// The order and colours of classes: those of the output schema, the same everywhere on a page.

const COLOURS = 8;
// More classes than there are predefined colours get hues that are far apart, regardless of their number.
const FIRST_HUE = 120;
const GOLDEN_ANGLE = 137.508;

// The names of the classes in their order, by pointer.
const known = new Map();

// The names in their order: first those of the schema (`first`), then others in the order in which they were
// first seen.
export function ordered(place, names, first = []) {
  if (!known.has(place)) known.set(place, []);
  const all = known.get(place);
  for (const name of [...first, ...names]) if (!all.includes(name)) all.push(name);
  return [...names].sort((one, other) => all.indexOf(one) - all.indexOf(other));
}

// The colour of a class, as CSS for the light and the dark theme.
export function colourOf(place, name) {
  return colourAt(Math.max(0, known.get(place)?.indexOf(name) ?? 0));
}

function colourAt(index) {
  if (index < COLOURS) return `var(--series-${index + 1})`;
  const hue = Math.round(FIRST_HUE + (index - COLOURS) * GOLDEN_ANGLE) % 360;
  return `oklch(var(--series-lightness) 0.13 ${hue})`;
}
