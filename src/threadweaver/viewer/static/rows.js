// Rows of pieces as lines on the page, a chunk of lines at a time.

import { h } from "./dom.js";
import { drawWhenNear, formula } from "./math.js";

const LINES_PER_CHUNK = 60;

// A passage as chunks of lines; the browser lays out only those near the window.
export function passage(rows, options = {}) {
  const box = h("div", { class: "passage" });
  addChunks(box, rows, 0, options);
  return box;
}

function addChunks(box, rows, from, options) {
  const begun = performance.now();
  let at = from;
  while (at < rows.length && (at < from + LINES_PER_CHUNK || performance.now() - begun < 8)) {
    const chunk = h("div", { class: rows.length > LINES_PER_CHUNK ? "chunk of-many" : "chunk" }, rows.slice(at, at + LINES_PER_CHUNK).map((row) => lineOf(row, options)));
    chunk.style.setProperty("--about", `${heightOf(rows.slice(at, at + LINES_PER_CHUNK))}px`);
    box.append(chunk);
    drawWhenNear(chunk);
    at += LINES_PER_CHUNK;
  }
  if (at < rows.length) setTimeout(() => addChunks(box, rows, at, options), 0);
}

// Lets the style sheet know how many digits the line numbers of a sample have.
export function setDigits(element, rows) {
  const highest = rows.reduce((most, [number, height]) => Math.max(most, number + height - 1), 0);
  element.style.setProperty("--digits", Math.max(3, String(highest).length));
}

// The approximate height in pixels, so that a link lands about right before the text above it is laid out.
function heightOf(rows) {
  return rows.reduce((sum, [, , pieces]) => {
    const chars = pieces.reduce((length, item) => length + (typeof item === "string" ? item.length : 12), 0);
    return sum + (chars ? 27 * Math.ceil(chars / 95) : 12);
  }, 0);
}

function lineOf([number, height, pieces], { numbers = true } = {}) {
  const blank = pieces.length === 0 || (pieces.length === 1 && typeof pieces[0] === "string" && !pieces[0].trim());
  const line = h("div", { class: blank ? "line blank" : "line", "data-line": numbers ? number : undefined });
  if (numbers) {
    line.dataset.first = number;
    line.dataset.last = number + height - 1;
  }
  line.append(...flow(pieces));
  return line;
}

// A few pieces as one inline element (a problem's title, an outline).
export function inline(pieces) {
  const box = h("span", { class: "inline" }, flow(pieces));
  drawWhenNear(box);
  return box;
}

function piece(item) {
  if (typeof item === "string") return item;
  if (item.m !== undefined) return formula(item);
  if (item.b !== undefined) return h("span", { class: "b" }, h("span", { class: "src" }, item.s), h("strong", null, flow(item.b)));
  if (item.k !== undefined) return h("span", { class: `sign-${item.k}` }, item.s);
  if (item.t !== undefined) return h("span", { class: "tag" }, item.t);
  if (item.del !== undefined) return h("del", null, item.del);
  return h("ins", null, item.ins);
}

// What touches an inline formula without a space stays in its line: no comma or bracket is parted from it.
function flow(pieces) {
  const items = [...pieces];
  const nodes = [];
  items.forEach((item, at) => {
    if (item?.m === undefined || item.d) {
      if (item !== "") nodes.push(piece(item));
      return;
    }
    const before = typeof nodes.at(-1) === "string" ? nodes.at(-1).match(/[^\s]{0,12}$/u)[0] : "";
    const after = typeof items[at + 1] === "string" ? items[at + 1].match(/^[^\s]{0,12}/u)[0] : "";
    if (!before && !after) return nodes.push(piece(item));
    if (before) nodes[nodes.length - 1] = nodes.at(-1).slice(0, -before.length);
    if (after) items[at + 1] = items[at + 1].slice(after.length);
    nodes.push(h("span", { class: "glued" }, before || null, piece(item), after || null));
  });
  return nodes;
}
