// Marks of passages in a thread, by their offsets in its text, and arcs between them. The document stays as it is.

import { svg } from "./dom.js";

const ARC_DEPTH = 14;

// The places of `spans` ([begin, end] in the text of the rows) in a passage on the page: ranges of its text, and the
// elements of formulas and bold words that a span touches. Null while the passage is not drawn to its end.
export function placesOf(body, rows, spans) {
  const lines = [...body.querySelectorAll(".line")];
  if (lines.length < rows.length) return null;
  const places = spans.map(() => ({ ranges: [], elements: new Set(), line: null }));
  const last = Math.max(0, ...spans.map((span) => span[1]));
  let at = 0;
  for (const line of lines) {
    const begin = at;
    for (const node of sources(line)) {
      const end = at + node.data.length;
      spans.forEach(([low, high], which) => low < end && high > at && place(places[which], node, Math.max(0, low - at), Math.min(node.data.length, high - at)));
      at = end;
    }
    spans.forEach(([low], which) => (places[which].line ??= low >= begin && low <= at ? line : null));
    at += 1;
    if (at > last) break;
  }
  return places;
}

function place(found, node, from, to) {
  const formula = node.parentElement.closest(".m, .b");
  if (formula) {
    found.elements.add(formula);
    return;
  }
  const range = new Range();
  range.setStart(node, from);
  range.setEnd(node, to);
  found.ranges.push(range);
}

// The text nodes whose words, joined, are the line's text: a formula's source counts, not what is drawn of it.
function sources(line) {
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT, (node) => (node.parentElement.closest(".tex, .b > strong") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  return nodes;
}

export function boxOf(found) {
  const [element] = found.elements;
  if (found.ranges.length && (!element || found.ranges[0].compareBoundaryPoints(Range.START_TO_START, rangeOf(element)) < 0)) return found.ranges[0].getClientRects()[0] ?? found.ranges[0].getBoundingClientRect();
  return (element ?? found.line)?.getBoundingClientRect();
}

function rangeOf(element) {
  const range = new Range();
  range.selectNode(element);
  return range;
}

// Draws arcs into `holder`, over what it scrolls. `links`: [{ from, to, kind }], with the boxes of their ends.
export function drawArcs(holder, links) {
  holder.querySelector(":scope > .arcs")?.remove();
  if (!links.length) return;
  const base = holder.getBoundingClientRect();
  const [left, top] = [base.left - holder.scrollLeft, base.top - holder.scrollTop];
  const picture = svg("svg", { class: "arcs", width: holder.scrollWidth, height: holder.scrollHeight, "aria-hidden": "true" });
  for (const { from, to, kind, number } of links) {
    const [x1, y1] = [from.left - left + from.width / 2, from.bottom - top + 1];
    const [x2, y2] = [to.left - left + to.width / 2, to.bottom - top + 1];
    const low = Math.max(y1, y2) + ARC_DEPTH + Math.min(60, Math.abs(x2 - x1) / 8);
    const path = Math.abs(x2 - x1) > 40 ? `M${x1},${y1} C${x1},${low} ${x2},${low} ${x2},${y2 + 5}` : `M${x1},${y1} C${x1 - 50},${y1 + 20} ${x2 - 50},${y2 + 20} ${x2},${y2 + 5}`;
    picture.append(svg("g", { class: `arc ${kind}`, "data-number": number }, svg("path", { d: path }), svg("path", { class: "head", d: `M${x2 - 4},${y2 + 6} L${x2},${y2} L${x2 + 4},${y2 + 6}Z` })));
  }
  holder.append(picture);
}
