// A slider or a choice for each field of the What if panel. Moving it changes the form.

import { onChange, row, setAt, show } from "./input.js";
import { Digits, parse, same, stringify } from "./json.js";
import { count } from "./numbers.js";
import { at, ends, numberAt, sliderOf } from "./sweep.js";
import { element, short } from "./values.js";

// Longer lists have a filter.
const MANY = 12;

// Fills the box. `axes` are those of app/web/pages/what_if.py, `example` is a row or undefined.
export function startSliders(box, axes, example) {
  const list = element("div", "sliders");
  const sliders = axes.map((axis, index) => (axis.choices.length ? choice(axis, index) : slider(axis, index, example)));
  list.append(...sliders.map(({ line }) => line));
  const undo = element("button", "btn btn-quiet btn-sm", "Undo changes");
  undo.type = "button";
  undo.hidden = true;
  let before; // the row before the first change of a slider
  let isOwn = false;
  const move = (pointer, value) => {
    before ??= row();
    isOwn = true;
    setAt(pointer, value);
    isOwn = false;
    undo.hidden = false;
  };
  undo.addEventListener("click", () => {
    show(before);
    list.querySelector("input, select").focus();
  });
  for (const { start } of sliders) start(move);
  box.replaceChildren(...(axes.length > MANY ? [filter(sliders)] : []), list, undo);
  const update = () => {
    const current = row();
    if (current === undefined) return;
    for (const each of sliders) each.update(at(current, each.axis.pointer), current);
  };
  onChange(() => {
    if (!isOwn) {
      before = undefined;
      undo.hidden = true;
    }
    update();
  });
  update();
}

function slider(axis, index, example) {
  const { line, label, id } = head(axis, index);
  const input = element("input", "form-range");
  input.type = "range";
  input.id = id;
  const output = element("span", "slider-value");
  output.ariaHidden = "true";
  line.append(label, input, output);
  let range = null;
  // The range stays while the number is in it, so that it does not change under the pointer.
  const fit = (now) => {
    if (range && (now === null || (now >= range[0] && now <= range[1]))) return;
    const [low, high] = ends(axis, now, example === undefined ? null : numberAt(example, axis.pointer));
    input.disabled = !(low < high);
    if (input.disabled) return;
    range = [low, high];
    [input.min, input.max, input.step] = sliderOf(axis, low, high);
  };
  return {
    axis,
    line,
    start: (move) => input.addEventListener("input", () => move(axis.pointer, new Digits(input.value))),
    update(value, current) {
      const now = numberAt(current, axis.pointer);
      fit(now);
      input.value = String(now ?? (Number(input.min) + Number(input.max)) / 2);
      line.classList.toggle("slider-blank", now === null);
      output.replaceChildren(now === null ? element("span", "nothing", "blank") : short(value, axis.unit));
      input.ariaValueText = output.textContent;
    },
  };
}

function choice(axis, index) {
  const { line, label, id } = head(axis, index);
  const select = element("select", "form-select form-select-sm");
  select.id = id;
  const values = axis.choices.map(([, json]) => parse(json));
  const blank = element("option", "", "blank");
  blank.value = "";
  blank.disabled = true;
  const options = axis.choices.map(([text], place) => {
    const option = element("option", "", text);
    option.value = String(place);
    return option;
  });
  select.append(blank, ...options);
  line.append(label, select);
  return {
    axis,
    line,
    start: (move) => select.addEventListener("change", () => move(axis.pointer, values[Number(select.value)])),
    update(value) {
      const place = value === undefined ? -1 : values.findIndex((each) => same(each, value));
      select.value = place < 0 ? "" : String(place);
      blank.textContent = place < 0 && value !== undefined ? stringify(value) : "blank";
    },
  };
}

function head(axis, index) {
  const line = element("div", "slider");
  const label = element("label", "slider-label", axis.label);
  const id = `whatif-field-${index}`;
  label.htmlFor = id;
  return { line, label, id };
}

// A search field that hides the fields without the text in their label.
function filter(sliders) {
  const input = element("input", "form-control form-control-sm");
  input.type = "search";
  input.placeholder = `Filter ${count(sliders.length)} fields`;
  input.ariaLabel = input.placeholder;
  input.addEventListener("input", () => {
    const text = input.value.trim().toLowerCase();
    for (const { axis, line } of sliders) line.hidden = !axis.label.toLowerCase().includes(text);
  });
  return input;
}
