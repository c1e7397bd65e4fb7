// A histogram that is a filter: drag over it to choose a range.

import { h, svg, count, measure } from "./dom.js";

const WIDE = 240;
const TALL = 38;
const APART = 3; // between the bars of equal width and the last one, which holds what is beyond them

// `range` is [low, high] with null for an open end; `choose` is called with a range or null when it changes.
export function histogram({ name, label, unit }, data, range, choose) {
  const peak = Math.max(1, ...data.all);
  const bins = data.all.length;
  const step = (WIDE - (data.cut ? APART : 0)) / bins;
  const left = (at) => at * step + (data.cut && at === bins - 1 ? APART : 0) + 0.4;
  const chart = svg("svg", { class: "bars", viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none", "data-measure": name, role: "img", "aria-label": `Distribution of ${label}` });
  chart.append(svg("title", null, `Number of samples per bar, up to ${count(peak)}${data.cut ? `; the last bar, set apart, is all from ${measure(data.edges.at(-2), unit)} to ${measure(data.highest, unit)}` : ""}`));
  const tall = (number) => (number ? Math.max(1.2, (number / peak) * (TALL - 2)) : 0);
  data.all.forEach((number, at) => chart.append(svg("rect", { class: "all", x: left(at), y: TALL - tall(number), width: step - 0.8, height: tall(number) })));
  data.chosen.forEach((number, at) => {
    const inside = !range || overlaps(data.edges, at, range);
    chart.append(svg("rect", { class: inside ? "chosen" : "chosen outside", x: left(at), y: TALL - tall(number), width: step - 0.8, height: tall(number) }));
  });
  const brush = svg("rect", { class: "brush", y: 0, height: TALL, width: 0 });
  chart.append(brush);
  if (range) drawBrush(brush, ...range.map((value, at) => position(data.edges, value, at)));
  dragging(chart, brush, data.edges, choose);
  return h("div", { class: range ? "histogram active" : "histogram" }, heading(name, label, unit, data, range, choose), chart);
}

function heading(name, label, unit, data, range, choose) {
  const shown = (value, at) => (value === null ? (at ? "…" : "") : measure(value, unit));
  const low = h("input", { type: "number", step: "any", "aria-label": `${label}, from`, placeholder: "from", value: range?.[0] ?? undefined });
  const high = h("input", { type: "number", step: "any", "aria-label": `${label}, to`, placeholder: "to", value: range?.[1] ?? undefined });
  const read = (input) => (input.value === "" ? null : Number(input.value));
  const change = () => choose(read(low) === null && read(high) === null ? null : [read(low), read(high)]);
  low.addEventListener("change", change);
  high.addEventListener("change", change);
  const ends = h("div", { class: "ends", hidden: true }, low, high);
  const toggle = h("button", { type: "button", class: "label", "aria-expanded": "false", title: "Type a range", onclick: () => {
    ends.hidden = !ends.hidden;
    toggle.setAttribute("aria-expanded", String(!ends.hidden));
    if (!ends.hidden) low.focus();
  } }, label);
  const extent = range ? `${shown(range[0], 0)} – ${shown(range[1], 1)}` : extentOf(data, unit);
  const clear = range && h("button", { type: "button", class: "clear", "aria-label": `Clear ${label}`, onclick: () => choose(null) }, "×");
  return h("div", { class: "head" }, toggle, h("span", { class: "extent" }, extent, clear), ends);
}

// Bins of whole numbers begin and end between two of them.
export const isWhole = ({ edges }) => Number.isInteger(edges[0] + 0.5) && Number.isInteger(edges[1] - edges[0]);

// From the lowest value to the highest; where the last bar is set apart, also where it begins.
export function extentOf(data, unit) {
  const lowest = data.edges[0] + (isWhole(data) ? 0.5 : 0);
  if (!data.cut) return `${measure(lowest, unit)} – ${measure(data.highest, unit)}`;
  return `${measure(lowest, unit)} – ${measure(Math.floor(data.edges.at(-2) * 1e6) / 1e6, unit)}, ${count(data.all.at(-1))} up to ${measure(data.highest, unit)}`;
}

const overlaps = (edges, at, [low, high]) => (low === null || edges[at + 1] > low) && (high === null || edges[at] < high);

function position(edges, value, end) {
  if (value === null) return end ? 1 : 0;
  const at = edges.findLastIndex((edge) => edge <= value);
  if (at < 0 || at >= edges.length - 1) return at < 0 ? 0 : 1;
  return (at + (value - edges[at]) / (edges[at + 1] - edges[at])) / (edges.length - 1);
}

function drawBrush(brush, from, to) {
  brush.setAttribute("x", from * WIDE);
  brush.setAttribute("width", Math.max(1, (to - from) * WIDE));
}

function dragging(chart, brush, edges, choose) {
  let start = null;
  const share = (event) => {
    const box = chart.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    start = share(event);
    chart.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  chart.addEventListener("pointermove", (event) => {
    if (start === null) return;
    const now = share(event);
    drawBrush(brush, Math.min(start, now), Math.max(start, now));
  });
  chart.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const [from, to] = [start, share(event)].sort((one, two) => one - two);
    start = null;
    choose(to - from < 0.01 ? null : ends(edges, from, to));
  });
}

// The range of the bins that were touched: a drag to the first or last bin leaves that end open.
function ends(edges, from, to) {
  const bins = edges.length - 1;
  const first = Math.min(bins - 1, Math.floor(from * bins));
  const last = Math.min(bins - 1, Math.ceil(to * bins) - 1);
  return [first === 0 ? null : tidy(edges[first]), last === bins - 1 ? null : tidy(edges[last + 1])];
}

export const tidy = (value) => Number(value.toPrecision(6));
