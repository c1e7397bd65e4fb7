// The plan of a trajectory to scale: sequential text, blocks with their threads side by side, the critical path.

import { h, svg, count } from "./dom.js";

// The small plan in the list. `shape`: a number for text, a list of the threads' lengths for a block.
export function miniPlan(shape, { width = 160, height = 20 } = {}) {
  const length = shape.reduce((sum, part) => sum + (Array.isArray(part) ? Math.max(...part) : part), 0) || 1;
  const picture = svg("svg", { class: "plan mini", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const part of shape) {
    if (!Array.isArray(part)) {
      const wide = (part / length) * width;
      picture.append(svg("rect", { class: "seq", x, y: height / 2 - 1, width: wide, height: 2 }));
      x += wide;
      continue;
    }
    const longest = Math.max(...part);
    const lane = Math.min(5, (height - 1) / part.length);
    const top = (height - lane * part.length) / 2;
    part.forEach((size, at) =>
      picture.append(
        svg("rect", { class: size === longest ? "lane longest" : "lane", x, y: top + at * lane, width: Math.max(1, (size / length) * width), height: Math.max(0.8, lane - 1), rx: 0.8 }),
      ),
    );
    x += (longest / length) * width;
  }
  return picture;
}

const WIDTH = 1200;
const HEIGHT = 66;

// The large plan above a trajectory: the full width is the sequential length, the part drawn is the critical path.
// `jump(part, block, thread)` is called when a part is clicked.
export function fullPlan(parts, { total, longest, estimated }, jump) {
  const sizes = parts.map((part) => (part.kind === "block" ? Math.max(...part.threads.map((thread) => thread.tokens)) + part.overhead : part.tokens ?? 0));
  const path = sizes.reduce((sum, size) => sum + size, 0) || 1;
  const whole = parts.reduce((sum, part) => sum + (part.tokens ?? 0), 0) || path;
  const scale = WIDTH / whole;
  const picture = svg("svg", { class: "plan full", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "group", "aria-label": "Critical path to scale" });
  picture.append(svg("rect", { class: "saved", x: path * scale, y: 0, width: Math.max(0, (whole - path) * scale), height: HEIGHT }));
  let x = 0;
  parts.forEach((part, at) => {
    const wide = sizes[at] * scale;
    const reached = part.kind === "block" ? { tabindex: 0, role: "button", "aria-label": `Block ${part.number}`, onkeydown: (event) => onPress(event, () => jump(null, part.number)) } : {};
    const group = svg("g", { class: "part", "data-part": at, ...reached });
    group.append(part.kind === "block" ? lanes(part, x, wide, scale, jump) : stretch(part, x, wide, () => jump(at)));
    picture.append(group);
    x += wide;
  });
  const cursor = svg("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: HEIGHT });
  picture.append(cursor);
  const about = estimated ? "≈ " : "";
  const saved = total && longest ? 1 - longest / total : 1 - path / whole;
  const legend = h(
    "div",
    { class: "legend" },
    h("span", null, h("b", null, about + count(longest ?? path)), " tokens on the critical path"),
    h("span", null, "of ", h("b", null, about + count(total ?? whole)), " in sequence"),
    saved > 0.0005 ? h("span", { class: "gain" }, `${(100 * saved).toFixed(saved < 0.1 ? 1 : 0)} % shorter · ${(1 / (1 - saved)).toFixed(2)}×`) : h("span", null, "nothing runs in parallel"),
    h("span", { class: "key" }, h("i", { class: "swatch longest" }), "longest thread", h("i", { class: "swatch" }), "beside it", h("i", { class: "swatch none" }), "saved"),
  );
  return { element: h("figure", { class: "strip" }, picture, legend), mark: (index, share) => moveCursor(cursor, sizes, index, share, scale) };
}

// What is pressed with a key as a button is, does not scroll.
function onPress(event, act) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  act();
}

function stretch(part, x, wide, onclick) {
  return svg("g", { onclick }, svg("rect", { class: "reach", x, y: 0, width: wide, height: HEIGHT }), svg("rect", { class: "seq", x, y: HEIGHT / 2 - 2, width: wide, height: 4 }), svg("title", null, `text, ${count(part.tokens)} tokens`));
}

function lanes(block, x, wide, scale, jump) {
  const number = block.threads.length;
  const lane = Math.min(15, (HEIGHT - 4) / number);
  const top = (HEIGHT - lane * number) / 2;
  const start = x + block.overhead * scale;
  const group = svg("g", null, svg("rect", { class: "span", x, y: Math.max(0, top - 3), width: wide, height: lane * number + 6, rx: 2 }));
  group.append(svg("rect", { class: "seq", x, y: HEIGHT / 2 - 2, width: block.overhead * scale, height: 4 }));
  block.threads.forEach((thread, at) =>
    group.append(
      svg(
        "g",
        { class: "hit", onclick: () => jump(null, block.number, thread.k) },
        svg("rect", { class: "reach", x, y: top + at * lane, width: wide, height: lane }),
        svg("rect", { class: thread.longest ? "lane longest" : "lane", x: start, y: top + at * lane + 0.5, width: Math.max(1.5, thread.tokens * scale), height: Math.max(1, lane - 2), rx: 1.5 }),
        svg("title", null, `block ${block.number}, thread ${thread.k}: ${count(thread.tokens)} tokens${thread.longest ? ", the longest" : ""}`),
      ),
    ),
  );
  return group;
}

function moveCursor(cursor, sizes, index, share, scale) {
  const before = sizes.slice(0, index).reduce((sum, size) => sum + size, 0);
  const x = (before + share * (sizes[index] ?? 0)) * scale;
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
}
