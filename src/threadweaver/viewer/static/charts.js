// Charts with axes, as SVG: bars of one or two distributions, points with a brush. Any of them can be saved.

import { h, svg, button, count, measure } from "./dom.js";
import { extentOf, isWhole, tidy } from "./histogram.js";

const BARS = sizes(460, 216);
const POINTS = sizes(840, 340);
const SET_APART = 10; // between the bars of equal width and the one of what is beyond them
const CLOSE_BY = 8;
const SAVED_STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-size", "font-family", "text-anchor"];

// The size of a drawing, and the edges of the plot in it.
function sizes(wide, tall) {
  return { wide, tall, left: 54, right: wide - 12, top: 14, bottom: tall - 44 };
}

// Round numbers between low and high, about `most` of them; `whole` allows no fractions.
export function ticks(low, high, most = 6, whole = false) {
  const rough = (high - low || 1) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  if (whole) step = Math.max(1, Math.ceil(step));
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(Number((at * step).toPrecision(12)));
  return found;
}

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

function chartFrame(label, plot) {
  return svg("svg", { class: "drawn", viewBox: `0 0 ${plot.wide} ${plot.tall}`, role: "img", "aria-label": label });
}

function axisX(chart, plot, values, place, unit, label) {
  chart.append(svg("line", { class: "axis", x1: plot.left, x2: plot.right, y1: plot.bottom, y2: plot.bottom }));
  for (const value of values) {
    const x = place(value);
    chart.append(svg("line", { class: "axis", x1: x, x2: x, y1: plot.bottom, y2: plot.bottom + 4 }), svg("text", { x, y: plot.bottom + 17, "text-anchor": "middle" }, tickText(value, unit)));
  }
  chart.append(svg("text", { class: "name", x: (plot.left + plot.right) / 2, y: plot.tall - 6, "text-anchor": "middle" }, label));
}

function axisY(chart, plot, values, place, format, label) {
  for (const value of values) {
    const y = place(value);
    chart.append(svg("line", { class: "grid", x1: plot.left, x2: plot.right, y1: y, y2: y }), svg("text", { x: plot.left - 7, y: y + 4, "text-anchor": "end" }, format(value)));
  }
  const middle = (plot.top + plot.bottom) / 2;
  chart.append(svg("text", { class: "name", x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` }, label));
}

const tickText = (value, unit) => (unit === "%" ? `${Number((100 * value).toFixed(1))} %` : unit === "$" ? `$${Number(value.toPrecision(3))}` : measureTick(value));
const measureTick = (value) => (Math.abs(value) >= 10_000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(4))));

// Bars of `data`, bins as the server sends them. `series`: {name, counts, kind}; with `share`, heights are shares of each
// series. `marks`: {value, kind, name}, as lines.
export function barChart({ label, unit, data, series, marks = [], share = false, of = "samples" }) {
  const bins = data.edges.length - 1;
  const regular = data.cut ? bins - 1 : bins;
  const end = data.edges[regular];
  const wide = (BARS.right - BARS.left - (data.cut ? SET_APART : 0)) / bins;
  const right = BARS.left + wide * regular;
  const x = scale(data.edges[0], end, BARS.left, right);
  const totals = series.map(({ counts }) => (share ? counts.reduce((sum, number) => sum + number, 0) || 1 : 1));
  const peak = Math.max(...series.map(({ counts }, at) => Math.max(...counts) / totals[at]), share ? 1e-9 : 1);
  const y = scale(0, peak, BARS.bottom, BARS.top + 4);
  const chart = chartFrame(`${label}: ${extentOf({ ...data, all: series[0].counts }, unit)}`, BARS);
  const [lowTick, highTick] = isWhole(data) ? [data.edges[0] + 0.5, end - 0.5] : [data.edges[0], end];
  axisY(chart, BARS, ticks(0, peak, 4, !share), y, (value) => (share ? `${Number((100 * value).toFixed(1))} %` : count(value)), share ? `share of ${of}` : of);
  series.forEach(({ name, counts, kind }, which) => {
    counts.forEach((number, at) => {
      if (!number) return;
      const top = y(number / totals[which]);
      const left = (at < regular ? BARS.left + wide * at : right + SET_APART) + 0.5;
      const range = at < regular ? `${measure(data.edges[at], unit)} – ${measure(data.edges[at + 1], unit)}` : `from ${measure(end, unit)} to ${measure(data.highest, unit)}`;
      chart.append(svg("rect", { class: `bar-of ${kind}`, x: left, y: Math.min(top, BARS.bottom - 1), width: Math.max(0.5, wide - 1), height: Math.max(1, BARS.bottom - top) }, svg("title", null, `${name ? `${name}: ` : ""}${count(number)} ${of}, ${range}`)));
    });
  });
  axisX(chart, BARS, ticks(lowTick, highTick, 6, isWhole(data)), x, unit, label);
  if (data.cut) chart.append(svg("text", { x: right + SET_APART + wide / 2, y: BARS.bottom + 30, "text-anchor": "end" }, `${measure(end, unit)} – ${measure(data.highest, unit)} ↑`));
  for (const { value, kind, name } of marks) {
    if (value === null || value === undefined || value < data.edges[0] || value > end) continue;
    chart.append(svg("line", { class: `mark-of ${kind}`, x1: x(value), x2: x(value), y1: BARS.top, y2: BARS.bottom }, svg("title", null, `${name} ${measure(value, unit)}`)));
  }
  return chart;
}

// Points of two measures. `ranges` are those chosen, [low, high] with null for an open end; `choose(x, y)` is called with
// new ones after a drag, with nulls after a click beside all points; `open(id)` after a click on a point.
export function scatterChart({ x, y, points, ranges, choose, open }) {
  const chart = chartFrame(`${y.label} against ${x.label}, ${count(points.length)} samples`, POINTS);
  chart.classList.add("scatter");
  const extent = (at) => points.reduce(([low, high], point) => [Math.min(low, point[at]), Math.max(high, point[at])], [Infinity, -Infinity]);
  const [lows, highs] = points.length ? [extent(1), extent(2)] : [[0, 1], [0, 1]];
  const across = padded(...lows);
  const upward = padded(...highs);
  const placeX = scale(...across, POINTS.left, POINTS.right);
  const placeY = scale(...upward, POINTS.bottom, POINTS.top);
  axisY(chart, POINTS, ticks(...upward, 5), placeY, (value) => tickText(value, y.unit), y.label);
  axisX(chart, POINTS, ticks(...across, 6), placeX, x.unit, x.label);
  const within = (value, range) => !range || ((range[0] === null || value >= range[0]) && (range[1] === null || value <= range[1]));
  const drawn = { chosen: "", outside: "" };
  for (const [, one, two] of points) drawn[within(one, ranges.x) && within(two, ranges.y) ? "chosen" : "outside"] += `M${placeX(one).toFixed(1)} ${placeY(two).toFixed(1)}h0`;
  for (const kind of ["outside", "chosen"]) chart.append(svg("path", { class: `points ${kind}`, d: drawn[kind] || "M0 0" }));
  const brush = svg("rect", { class: "brush" });
  chart.append(brush);
  const hint = svg("text", { class: "hint", x: POINTS.right, y: POINTS.top - 2, "text-anchor": "end" });
  chart.append(hint);
  const nearest = (at) => {
    let [found, best] = [null, CLOSE_BY * CLOSE_BY];
    for (const point of points) {
      const far = (placeX(point[1]) - at.x) ** 2 + (placeY(point[2]) - at.y) ** 2;
      if (far < best) [found, best] = [point, far];
    }
    return found;
  };
  const value = (position, [low, high], from, to) => low + ((position - from) / (to - from)) * (high - low);
  brushing(chart, brush, {
    hover: (at) => {
      const point = nearest(at);
      hint.textContent = point ? `${point[0]}: ${measure(point[1], x.unit)}, ${measure(point[2], y.unit)}` : "";
    },
    click: (at) => {
      const point = nearest(at);
      if (point) open(point[0]);
      else choose(null, null);
    },
    select: (from, to) => {
      const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)].map((at) => tidy(value(at, across, POINTS.left, POINTS.right)));
      const [low, high] = [Math.max(from.y, to.y), Math.min(from.y, to.y)].map((at) => tidy(value(at, upward, POINTS.bottom, POINTS.top)));
      choose([left, right], [low, high]);
    },
  });
  return chart;
}

const padded = (low, high) => (low === high ? [low - 0.5, high + 0.5] : [low - (high - low) * 0.02, high + (high - low) * 0.02]);

function brushing(chart, brush, { hover, click, select }) {
  let start = null;
  const at = (event) => {
    const box = chart.getBoundingClientRect();
    const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
    return { x: clamp(((event.clientX - box.left) / box.width) * POINTS.wide, POINTS.left, POINTS.right), y: clamp(((event.clientY - box.top) / box.height) * POINTS.tall, POINTS.top, POINTS.bottom) };
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    start = at(event);
    chart.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  chart.addEventListener("pointermove", (event) => {
    const now = at(event);
    if (start === null) return hover(now);
    for (const [name, value] of Object.entries({ x: Math.min(start.x, now.x), y: Math.min(start.y, now.y), width: Math.abs(now.x - start.x), height: Math.abs(now.y - start.y) })) brush.setAttribute(name, value);
  });
  chart.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const [from, to] = [start, at(event)];
    start = null;
    if (Math.abs(to.x - from.x) < 4 && Math.abs(to.y - from.y) < 4) click(to);
    else select(from, to);
  });
}

// A chart with its caption, and the buttons that save it: as SVG with its colours, and its numbers as CSV.
export function figureOf(name, caption, chart, rows) {
  return h("figure", { class: "chart" }, h("figcaption", null, caption), chart, h("div", { class: "save" }, button("SVG", () => save(`${name}.svg`, asSvg(chart), "image/svg+xml"), { class: "link", title: "Save the chart as SVG" }), button("CSV", () => save(`${name}.csv`, asCsv(rows), "text/csv"), { class: "link", title: "Save the numbers of the chart as CSV" })));
}

// The numbers of a bar chart as rows for a CSV file.
export function rowsOf(data, series) {
  return [["from", "to", ...series.map(({ name, kind }) => name || kind)], ...data.edges.slice(0, -1).map((edge, at) => [edge, data.edges[at + 1], ...series.map(({ counts }) => counts[at])])];
}

const asCsv = (rows) => rows.map((row) => row.map((cell) => (typeof cell === "number" ? cell : `"${harmless(String(cell)).replaceAll('"', '""')}"`)).join(",") + "\n").join("");
const harmless = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

function asSvg(chart) {
  const copy = chart.cloneNode(true);
  const [from, to] = [[chart, ...chart.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
  from.forEach((element, at) => {
    const style = getComputedStyle(element);
    for (const name of SAVED_STYLES) to[at].setAttribute(name, style.getPropertyValue(name));
    to[at].removeAttribute("class");
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const { width, height } = chart.viewBox.baseVal;
  copy.setAttribute("width", width * 2);
  copy.setAttribute("height", height * 2);
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  return new XMLSerializer().serializeToString(copy);
}

function save(name, text, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
