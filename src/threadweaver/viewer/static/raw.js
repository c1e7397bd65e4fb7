// The raw text of a sample: as it is stored, as the row that training sees, as the requests that inference sends.

import { h, button, copy, count, plural } from "./dom.js";
import { getSample, getUnits } from "./api.js";
import { markWords } from "./find.js";
import { passage, setDigits } from "./rows.js";
import { sampleHead, stepKeys } from "./trajectory.js";
import { ReviewBox } from "./review.js";
import { SampleView } from "./sample.js";

const FOLDS = /<(\/?)(Parallel|Outlines|Thread|Conclusion)>/g;
const SIGNS = /(<\/?[A-Za-z_]+>|<\|[\w-]+\|>|\$\$?[^$\n]+\$\$?|\\[a-zA-Z]+|\\[^\sa-zA-Z])/;
const MODES = [["stored", "As stored"], ["training", "As training sees it"], ["inference", "As inference sends it"]];
let mode = "stored";

export class RawView extends SampleView {
  async fetch() {
    [this.sample, this.units] = await Promise.all([getSample(this.route.id), getUnits(this.route.id)]);
  }

  draw() {
    this.place = h("span", { class: "place" });
    this.review ??= new ReviewBox(this.sample, this.run);
    this.tabs = h("nav", { class: "tabs modes", "aria-label": "Form of the text" });
    this.body = h("div", { class: "raw" });
    this.container.replaceChildren(
      h("article", { class: "sample" }, sampleHead(this.sample, this.run, this.route, this.place, this.review), h("div", { class: "tools" }, this.tabs, h("span", { class: "grow" }), button("Fold all", () => this.foldAll(false), { class: "tool" }), button("Unfold all", () => this.foldAll(true), { class: "tool" }), button(h("span", null, "Copy", h("kbd", null, "c")), () => this.copyText(), { class: "tool" })), this.body),
    );
    this.show(mode);
    const query = this.route.params.get("q");
    if (query) setTimeout(() => !this.gone && markWords(this.container, query), 60);
  }

  show(chosen) {
    mode = chosen;
    this.tabs.replaceChildren(...MODES.map(([name, label]) => button(label, () => this.show(name), { class: name === mode ? "tab here" : "tab", pressed: String(name === mode) })));
    const parts = this.sample.text === null ? [h("p", { class: "fault" }, "These folders have no text of this sample.")] : { stored: () => foldable(this.sample.text), training: () => this.training(), inference: () => this.inference() }[mode]();
    this.body.replaceChildren(...parts);
    const lines = (mode === "stored" ? this.sample.text : this.units.row)?.split("\n").length ?? 1;
    setDigits(this.container.firstElementChild, [[lines, 1]]);
  }

  training() {
    const { row, begin, rendered } = this.units;
    const note = "One row: the loss is on what follows the prompt, and a thread sees its earlier siblings. In units (--units) each request of inference is a pair of its own.";
    return [h("p", { class: "soft" }, note, rendered ? "" : " The prompt is rendered where the viewer has a tokenizer (--tokenizer)."), begin ? fold("prompt", `${count(begin)} characters, without loss`, [lines(row.slice(0, begin), 1)], "prompt") : "", ...foldable(row.slice(begin), 1 + newlines(row.slice(0, begin)))];
  }

  inference() {
    const { units, fault, rendered } = this.units;
    if (!units.length) return [h("p", { class: "fault" }, `Inference would not build this text: ${fault}.`)];
    const note = `${plural(units.length, "request")}. Each gets its context, of which the server's cache knows the beginning, and decodes its continuation; a thread sees no sibling.`;
    return [h("p", { class: "soft" }, note, rendered ? "" : " The prompt, which comes first, is rendered where the viewer has a tokenizer (--tokenizer)."), ...units.map((unit, at) => this.request(unit, at))];
  }

  request({ kind, block, thread, shared, added, start, end }, at) {
    const { row } = this.units;
    const what = { outlines: `to the outlines of block ${block}`, thread: `block ${block}, thread ${thread}`, end: "to the end" }[kind];
    const context = h("details", { class: "folding context" }, h("summary", null, h("span", null, "context: the row’s first ", h("b", null, count(shared)), " characters", added ? `, and ${count(added.length)} that the loop writes` : "")));
    context.addEventListener("toggle", () => context.children.length > 1 || context.append(lines(row.slice(0, shared) + added, 1)));
    const last = 1 + newlines(row.slice(0, start));
    return h("section", { class: "request" }, h("header", null, h("b", null, `Request ${at + 1}`), h("span", null, what), h("span", null, `${count(end - start)} characters decoded`)), context, added ? h("div", { class: "added" }, lines(added, null)) : "", h("div", { class: "decoded" }, lines(row.slice(start, end), last)));
  }

  foldAll(open) {
    for (const each of this.body.querySelectorAll(":scope details")) each.open = open;
  }

  copyText() {
    if (mode === "stored" || !this.units.row) return copy(this.sample.text ?? "", "text");
    if (mode === "training") return copy(this.units.row, "row");
    const { row, units } = this.units;
    const pairs = units.map(({ kind, block, thread, shared, added, start, end }) => ({ kind, block, thread, context: row.slice(0, shared) + added, continuation: row.slice(start, end) }));
    copy(pairs.map((pair) => JSON.stringify(pair)).join("\n") + "\n", "requests as JSON lines");
  }

  keys() {
    return { ...stepKeys(this), c: () => this.copyText() };
  }
}

const newlines = (text) => text.split("\n").length - 1;

// Lines of source, numbered from `first`, or not at all; what is left of a line beside a tag gets none of its own.
function lines(text, first) {
  const rows = text.split("\n").map((line, at) => [(first ?? 1) + at, 1, line.split(SIGNS).filter(Boolean).map(sign)]);
  return passage(rows, { numbers: first !== null });
}

function sign(text) {
  if (!SIGNS.test(text)) return text;
  return { k: text[0] === "<" ? "tag" : text[0] === "$" ? "math" : "command", s: text };
}

function fold(name, about, inside, kind = "") {
  return h("details", { class: `folding ${kind}`, open: true }, h("summary", null, h("span", { class: "sign-tag" }, name), h("span", { class: "about" }, about)), inside);
}

// The text as elements that fold at the tags of blocks, lists of outlines and threads; flat where the tags do not match.
function foldable(text, first = 1) {
  const root = { name: "", inside: [] };
  const open = [root];
  let at = 0;
  let number = first;
  const add = (until) => {
    const piece = text.slice(at, until);
    const shown = piece.replace(/^\n/, "").replace(/\n$/, "");
    if (shown || (piece && open.length === 1 && !/^\n*$/.test(piece))) open.at(-1).inside.push(lines(shown, number + (piece[0] === "\n" ? 1 : 0)));
    number += newlines(piece);
  };
  for (const { 0: tag, 1: closing, 2: name, index } of text.matchAll(FOLDS)) {
    add(index);
    at = index + tag.length;
    if (!closing) open.push({ name, inside: [], begin: index, line: number });
    else if (open.at(-1).name !== name) return [lines(text, first)];
    else {
      const done = open.pop();
      open.at(-1).inside.push(fold(`<${name}>`, `${plural(number - done.line + 1, "line")}, ${count(at - done.begin)} characters`, [h("div", { class: "inside" }, done.inside), h("div", { class: "closing" }, h("span", { class: "sign-tag" }, tag))]));
    }
  }
  if (open.length > 1) return [lines(text, first)];
  add(text.length);
  return root.inside;
}
