// Formulas: TeX to MathML by Temml, in the page; the first ones at once, the others as the reader approaches them.

import { h } from "./dom.js";

const MAX_TEX = 4000;
const MAX_BRACES = 60;
// A formula with more elements, or deeper ones, is shown as source: laying it out could take seconds.
const MAX_ELEMENTS = 6000;
const MAX_NESTED = 80;
const MAX_KEPT = 4000;
// Milliseconds: how long the formulas in the window may hold up its first picture, and how long a turn may take later.
const AT_ONCE = 80;
const TURN = 10;
const NEAR = "1400px";
// Characters: a formula is broken at its relations into pieces of this many or more.
const MIN_PIECE = 10;

const MACROS = { "\\mbox": "\\text{#1}", "\\overarc": "\\overparen{#1}", "\\ensuremath": "#1", "\\vspace": { tokens: [], numArgs: 1 }, "\\hfill": "\\quad ", "\\qed": "\\square ", "\\qedhere": "\\square ", "\\textdegree": "{}^{\\circ}" };
const NUMBERED = /\\(begin|end)\{(align|alignat|equation|flalign|gather|multline)\}/g;

// What was drawn, by source: an element to clone, or the reason why it could not be drawn.
const drawn = new Map();

// A formula as an element: its source, and beside it the mathematics as soon as it is drawn.
export function formula({ m, d, s }) {
  const box = h("span", { class: d ? "m display" : "m" }, h("span", { class: "src" }, s));
  box.tex = m;
  box.displayed = Boolean(d);
  if (drawn.has(keyOf(box))) draw(box);
  return box;
}

const keyOf = (box) => (box.displayed ? "d:" : "i:") + box.tex;

function draw(box) {
  if (box.classList.contains("done") || box.classList.contains("failed")) return;
  const key = keyOf(box);
  if (!drawn.has(key)) {
    if (drawn.size >= MAX_KEPT) drawn.clear();
    drawn.set(key, mathematics(box.tex, box.displayed));
  }
  const found = drawn.get(key);
  if (typeof found === "string") {
    box.classList.add("failed");
    box.title = `Not drawn: ${found}`;
    return;
  }
  box.append(found.cloneNode(true));
  box.classList.add("done");
}

// Returns the formula as an element, or in words why it is shown as source.
export function mathematics(tex, display) {
  if (tex.length > MAX_TEX) return `longer than ${MAX_TEX} characters`;
  if (depthOf(tex) > MAX_BRACES) return `more than ${MAX_BRACES} braces inside each other`;
  const holder = h("span", { class: "tex" });
  const source = tex.replace(NUMBERED, "\\$1{$2*}");
  const options = { displayMode: display || source !== tex, wrap: "tex", trust: false, strict: false, throwOnError: true, maxExpand: 300, maxSize: [20, 200], macros: { ...MACROS } };
  try {
    temml.render(source, holder, options);
  } catch (error) {
    return error instanceof RangeError ? "too deep" : String(error.message).split("\n")[0];
  }
  const fault = cleaned(holder);
  if (fault) return fault;
  fit(holder);
  if (!options.displayMode) breakable(holder);
  return holder;
}

// Chromium reserves the width of the largest glyph for a root and for a bracket that may grow: too much around what is low.
function fit(holder) {
  const isLow = (element) => !element.querySelector("mfrac, mtable, munder, mover, munderover, msubsup, msqrt, mroot");
  for (const root of holder.querySelectorAll("msqrt, mroot")) if (isLow(root)) root.classList.add("low");
  for (const bracket of holder.querySelectorAll("mo[fence][stretchy=true]")) if (isLow(bracket.parentElement)) bracket.setAttribute("stretchy", "false");
}

function depthOf(tex) {
  let depth = 0;
  let deepest = 0;
  for (const char of tex) {
    depth += (char === "{") - (char === "}");
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

// Takes names and links out, mixes colours with that of the text, so that they can be read in both themes.
function cleaned(holder) {
  const elements = holder.querySelectorAll("*");
  if (elements.length > MAX_ELEMENTS) return `more than ${MAX_ELEMENTS} signs`;
  for (const element of elements) {
    if (/^(a|img|script|iframe|object|embed)$/i.test(element.localName)) return "a link or an image";
    for (const name of ["id", "href", "src", "name"]) element.removeAttribute(name);
    const { color } = element.style;
    if (color) element.style.color = `color-mix(in oklab, ${color} 65%, var(--ink))`;
  }
  return nested(holder) > MAX_NESTED ? "too deep" : "";
}

function nested(element) {
  let deepest = 0;
  let level = [element];
  while (level.length && deepest <= MAX_NESTED) {
    level = level.flatMap((each) => [...each.children]);
    deepest += 1;
  }
  return deepest;
}

// Browsers break lines between formulas, never inside one: a long one becomes several, each up to a relation or sign.
function breakable(holder) {
  const math = holder.firstElementChild;
  const groups = [...(math?.children ?? [])];
  if (groups.length < 2 || groups.some((group) => group.localName !== "mrow")) return;
  let piece = null;
  const pieces = [];
  for (const group of groups) {
    if (piece && piece.textContent.length < MIN_PIECE) piece.append(...group.childNodes);
    else {
      piece = group;
      pieces.push(piece);
    }
  }
  const last = pieces.at(-1);
  if (pieces.length > 1 && last.textContent.length < 3) pieces.at(-2).append(...pieces.pop().childNodes);
  holder.replaceChildren(
    ...pieces.map((row) => {
      const part = math.cloneNode(false);
      part.append(row);
      return part;
    }),
  );
}

// Draws the formulas of an element: before it is first painted if it is in the window, else when it comes near.
export function drawWhenNear(element) {
  if (!undrawn(element).length) return;
  fresh.add(element);
  frame ||= requestAnimationFrame(drawFresh);
}

const undrawn = (element) => [...element.querySelectorAll(".m:not(.done, .failed)")];
const fresh = new Set();
let frame = 0;

// What is drawn makes the text taller or lower, so the window is looked at a few times.
function drawFresh() {
  frame = 0;
  const begun = performance.now();
  const elements = [...fresh];
  fresh.clear();
  for (let turn = 0; turn < 3; turn++) {
    const boxes = elements.filter(isInWindow).flatMap(undrawn);
    if (!boxes.length) break;
    for (const box of boxes) if (performance.now() - begun < AT_ONCE) draw(box);
  }
  for (const element of elements) if (undrawn(element).length) nearby.observe(element);
}

function isInWindow(element) {
  const { top, bottom, width } = element.getBoundingClientRect();
  return width > 0 && bottom > -100 && top < innerHeight + 200;
}

addEventListener("beforeprint", () => undrawn(document).forEach(draw));

const waiting = [];
let timer = 0;
const nearby = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      nearby.unobserve(entry.target);
      waiting.push(...undrawn(entry.target));
    }
    drawWaiting();
  },
  { rootMargin: `${NEAR} 0px` },
);

function drawWaiting() {
  clearTimeout(timer);
  const begun = performance.now();
  while (waiting.length && performance.now() - begun < TURN) draw(waiting.shift());
  if (waiting.length) timer = setTimeout(drawWaiting, 0);
}
