// Rows of pieces as lines on the page; formulas are requested as the reader approaches them.

import { h } from "./dom.js";
import { getMath } from "./api.js";

const LINES_PER_CHUNK = 60;
const FORMULAS_PER_REQUEST = 300;
const FORMULA_CHARS_PER_REQUEST = 120_000;
const NEAR = "1400px";
const rendered = new Map();

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
    const chunk = h("div", { class: "chunk" }, rows.slice(at, at + LINES_PER_CHUNK).map((row) => lineOf(row, options)));
    chunk.style.setProperty("--about", `${heightOf(rows.slice(at, at + LINES_PER_CHUNK))}px`);
    box.append(chunk);
    if (chunk.querySelector(".m")) nearby.observe(chunk);
    at += LINES_PER_CHUNK;
  }
  if (at < rows.length) setTimeout(() => addChunks(box, rows, at, options), 0);
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
  line.append(...pieces.map(piece));
  return line;
}

// A few pieces as one inline element (a problem's title, an outline).
export function inline(pieces) {
  const box = h("span", { class: "inline" }, pieces.map(piece));
  if (box.querySelector(".m")) nearby.observe(box);
  return box;
}

function piece(item) {
  if (typeof item === "string") return item;
  if (item.m !== undefined) return formula(item);
  if (item.b !== undefined) return h("span", { class: "b" }, h("span", { class: "src" }, item.s), h("strong", null, item.b));
  if (item.t !== undefined) return h("span", { class: "tag" }, item.t);
  if (item.del !== undefined) return h("del", null, item.del);
  return h("ins", null, item.ins);
}

function formula({ m, d, s }) {
  const box = h("span", { class: d ? "m display" : "m" }, h("span", { class: "src" }, s));
  box.tex = [m, Boolean(d)];
  const known = rendered.get(key(box.tex));
  if (known) place(box, known);
  return box;
}

const key = ([tex, display]) => (display ? "d:" : "i:") + tex;

// Safe: the server has parsed the converter's output as XML and passed only MathML.
function place(box, mathml) {
  const holder = h("span", { class: "tex" });
  holder.innerHTML = mathml;
  box.append(holder);
  box.classList.add("done");
}

const waiting = new Set();
let timer = 0;
const nearby = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      nearby.unobserve(entry.target);
      for (const box of entry.target.querySelectorAll(".m:not(.done)")) waiting.add(box);
    }
    if (waiting.size && !timer) timer = setTimeout(renderWaiting, 16);
  },
  { rootMargin: `${NEAR} 0px` },
);

async function renderWaiting() {
  timer = 0;
  const boxes = [...waiting];
  waiting.clear();
  const wanted = new Map();
  for (const box of boxes) if (!rendered.has(key(box.tex))) wanted.set(key(box.tex), box.tex);
  for (const formulas of requests([...wanted.values()])) {
    const answers = await getMath(formulas).catch(() => null);
    answers?.forEach((mathml, at) => rendered.set(key(formulas[at]), mathml));
    for (const box of boxes) {
      const mathml = rendered.get(key(box.tex));
      if (mathml && !box.classList.contains("done")) place(box, mathml);
    }
  }
  if (!wanted.size) for (const box of boxes) if (rendered.get(key(box.tex)) && !box.classList.contains("done")) place(box, rendered.get(key(box.tex)));
}

function* requests(formulas) {
  let batch = [];
  let chars = 0;
  for (const item of formulas) {
    if (batch.length === FORMULAS_PER_REQUEST || chars + item[0].length > FORMULA_CHARS_PER_REQUEST) {
      yield batch;
      [batch, chars] = [[], 0];
    }
    batch.push(item);
    chars += item[0].length;
  }
  if (batch.length) yield batch;
}

const MARKS = 2000;

// Marks the words of the search without changing the document.
export function markWords(container, query) {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.delete("search");
  const words = query.match(/[\p{L}\p{N}_]+/gu);
  if (!words) return;
  const pattern = new RegExp(words.sort((one, two) => two.length - one.length).join("|"), "giu");
  const walker = document.createTreeWalker(container, NodeFilter.SHOW_TEXT);
  const ranges = [];
  while (walker.nextNode() && ranges.length < MARKS) {
    for (const match of walker.currentNode.data.matchAll(pattern)) {
      const range = new Range();
      range.setStart(walker.currentNode, match.index);
      range.setEnd(walker.currentNode, match.index + match[0].length);
      ranges.push(range);
    }
  }
  CSS.highlights.set("search", new Highlight(...ranges));
}
