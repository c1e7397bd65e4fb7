// Find in a sample: the words of a search are marked without changing the document, counted, and stepped through.

import { h, button, byId, count } from "./dom.js";

const MOST_MARKS = 2000;
const searched = { container: null, query: "", ranges: [], at: -1, chunks: 0 };

// Marks the words in the container; an empty query takes the marks away.
export function markWords(container, query) {
  Object.assign(searched, { container, query, at: -1 });
  collect();
}

export function clearMarks() {
  markWords(null, "");
}

export const hasMarks = () => searched.ranges.length > 0;

// Goes to the next hit, or with -1 to the one before; from the place in the window for the first step.
export function stepMarks(by) {
  if (searched.container && searched.container.querySelectorAll(".chunk").length !== searched.chunks) collect();
  const { ranges } = searched;
  if (!ranges.length) return;
  if (searched.at < 0) searched.at = by > 0 ? Math.max(0, ranges.findIndex((range) => topOf(range) > 0)) : ranges.length - 1;
  else searched.at = (searched.at + by + ranges.length) % ranges.length;
  const range = ranges[searched.at];
  const element = range.startContainer.parentElement;
  for (let each = element.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
  element.scrollIntoView({ block: "center" });
  CSS.highlights.set("found", new Highlight(range));
  drawCount();
}

const topOf = (range) => range.startContainer.parentElement.getBoundingClientRect().bottom;

function collect() {
  const { container, query } = searched;
  const words = (container && query.match(/[\p{L}\p{N}_]+/gu)) ?? [];
  searched.ranges = words.length ? rangesOf(container, words) : [];
  searched.chunks = container?.querySelectorAll(".chunk").length ?? 0;
  if (globalThis.CSS?.highlights) {
    CSS.highlights.delete("found");
    if (searched.ranges.length) CSS.highlights.set("search", new Highlight(...searched.ranges));
    else CSS.highlights.delete("search");
  }
  drawCount(words.length > 0);
}

function rangesOf(container, words) {
  const pattern = new RegExp(words.sort((one, two) => two.length - one.length).join("|"), "giu");
  const walker = document.createTreeWalker(container, NodeFilter.SHOW_TEXT, (node) => (isHidden(node.parentElement) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
  const ranges = [];
  while (walker.nextNode() && ranges.length < MOST_MARKS) {
    for (const match of walker.currentNode.data.matchAll(pattern)) {
      const range = new Range();
      range.setStart(walker.currentNode, match.index);
      range.setEnd(walker.currentNode, match.index + match[0].length);
      ranges.push(range);
    }
  }
  return ranges;
}

// The source of a formula that is drawn, or the formula while the source is shown.
function isHidden(element) {
  const asSource = document.documentElement.classList.contains("source");
  return asSource ? Boolean(element.closest(".tex")) : element.matches(".m.done > .src, .b > .src");
}

function drawCount(searching = true) {
  const box = byId("found");
  if (!box) return;
  const { ranges, at, container } = searched;
  if (!container || !searching) return box.replaceChildren();
  const of = `${count(ranges.length)}${ranges.length >= MOST_MARKS ? " or more" : ""}`;
  const said = h("span", null, ranges.length ? `${at < 0 ? "" : `${count(at + 1)} of `}${of}` : "not in this sample");
  box.replaceChildren(said, ...(ranges.length ? [button("‹", () => stepMarks(-1), { class: "icon", aria: "Previous hit", title: "Previous hit (N)" }), button("›", () => stepMarks(1), { class: "icon", aria: "Next hit", title: "Next hit (n)" })] : []));
}
