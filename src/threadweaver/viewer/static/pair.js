// The same chain in two runs, aligned by its lines: where each has blocks, and what they are.

import { h, button, count, lineRange, measure, plural } from "./dom.js";
import { getPairNeighbours, getSampleOf } from "./api.js";
import { address, go } from "./state.js";
import { clearMarks, markWords, stepMarks } from "./find.js";
import { inline, passage, setDigits } from "./rows.js";
import { rowsOfParts } from "./trajectory.js";
import { fullPlan } from "./plan.js";
import { labelOf } from "./list.js";
import { runName } from "./compare.js";

const SIDE = ["one", "two"];
const LONGEST_SHOWN = 16;
const LINES_AT_ENDS = 4;
const SAME_CHAIN = 0.9; // of the lines outside blocks that both have

export class PairView {
  constructor(container, run, route) {
    this.run = run;
    this.route = route;
    this.container = container;
    this.ids = ["a", "b"].map((name) => route.params.get(name) || null);
    this.params = new URLSearchParams([...route.params].filter(([name]) => name !== "a" && name !== "b"));
    this.runs = route.runs.map((number) => run.runs[number]);
    this.ready = this.load();
  }

  destroy() {
    this.gone = true;
    clearMarks();
  }

  async load() {
    try {
      const around = getPairNeighbours(this.route.runs, this.params, this.ids).catch(() => ({}));
      const samples = await Promise.all(this.ids.map((id, at) => (id === null ? null : getSampleOf(this.route.runs[at], id))));
      if (this.gone) return;
      this.draw(samples);
      this.neighbours = await around;
      if (!this.gone) this.showPlace();
    } catch (error) {
      if (!this.gone) this.container.replaceChildren(h("p", { class: "empty" }, error.message, " ", h("a", { href: "#/" }, "All runs")));
    }
    this.settled = true;
  }

  find(text) {
    markWords(this.container, text);
  }

  draw(samples) {
    this.place = h("span", { class: "place" });
    const known = samples.find(Boolean);
    const aligned = samples.every((sample) => sample?.numbering === "chain") && haveOneChain(...samples);
    const note = samples.every(Boolean) && !aligned ? h("p", { class: "fault" }, "These are not made from the same chain, or its lines are not known: they are shown one beside the other, not line by line.") : null;
    this.container.replaceChildren(
      h(
        "article",
        { class: "two-of" },
        h("div", { class: "crumbs" }, h("a", { href: address({ view: "compare", runs: this.route.runs, params: this.params }) }, "← Comparison"), this.place),
        h("h1", null, known?.uuid || known?.id || ""),
        known?.problem.some((row) => row[2].length) ? h("div", { class: "ask" }, passage(known.problem, { numbers: false })) : null,
        h("div", { class: "grid-of-two heads" }, samples.map((sample, at) => this.headOf(sample, samples[1 - at], at))),
        note,
        aligned ? this.aligned(samples) : h("div", { class: "grid-of-two" }, samples.map((sample, at) => h("div", { class: `cell ${SIDE[at]}` }, sample ? sample.parts.map((part) => (part.kind === "block" ? this.blockOf(part) : passage(part.rows))) : h("p", { class: "soft" }, "not in this run")))),
      ),
    );
    setDigits(this.container.firstElementChild, samples.flatMap((sample) => (sample ? rowsOfParts(sample.parts) : [])));
  }

  headOf(sample, other, at) {
    const side = SIDE[at];
    const name = this.runs[at] ? runName(this.runs[at], this.run.runs) : "";
    const title = h("h2", { class: `side ${side}` }, h("i", { class: "swatch-of" }), sample ? h("a", { class: "target-of", href: `/run/${this.route.runs[at]}/#/sample/${encodeURIComponent(sample.id)}` }, name) : name);
    if (!sample) return h("section", { class: "cell" }, title, h("p", { class: "soft" }, "This run does not have the sample."));
    const { total_num_tokens: total, num_tokens_in_the_longest_thread: longest } = sample.measures;
    const plan = total && !sample.fault ? fullPlan(sample.parts, { total, longest, estimated: sample.estimated }, (part, block) => this.jump(at, part, block)).element : null;
    const differing = this.run.measures.filter(({ name: key }) => sample.measures[key] !== null && (!other || sample.measures[key] !== other.measures[key]));
    const facts = differing.map(({ name: key, label, unit }) => h("div", null, h("dt", null, label), h("dd", null, measure(sample.measures[key], unit))));
    return h("section", { class: "cell" }, title, h("p", null, h("span", { class: `chip outcome-${sample.outcome}` }, labelOf("outcome", sample.outcome), sample.reason ? `: ${sample.reason.replaceAll("_", " ")}` : ""), sample.review?.verdict ? h("span", { class: `chip ${sample.review.verdict}` }, labelOf("review", sample.review.verdict)) : null), plan, facts.length ? h("dl", { class: "measured" }, facts) : h("p", { class: "soft" }, "All measures are the same."));
  }

  // One row of cells for each stretch of the chain that no block of either crosses.
  aligned(samples) {
    const blocks = samples.flatMap((sample) => sample.parts.filter((part) => part.kind === "block"));
    const cuts = [...new Set(blocks.flatMap(({ first, last }) => [first, last + 1]))].filter((cut) => !blocks.some(({ first, last }) => first < cut && cut <= last)).sort((one, two) => one - two);
    const ends = [...cuts, Infinity];
    const stretches = ends.map((end, at) => [at ? cuts[at - 1] : 0, end]);
    return h("div", { class: "grid-of-two", role: "group", "aria-label": "The chain in both" }, stretches.map(([from, to]) => this.stretch(samples, from, to)));
  }

  stretch(samples, from, to) {
    const inside = samples.map((sample) => sample.parts.flatMap((part) => (part.kind === "block" ? (part.first >= from && part.first < to ? [part] : []) : slice(part, from, to))));
    if (inside.every((parts) => !parts.length)) return null;
    const plain = inside.every((parts) => parts.every((part) => part.kind !== "block"));
    if (plain && inside[0].length === 1 && inside[1].length === 1 && inside[0][0].rows.length > LONGEST_SHOWN) return this.folded(inside.map(([part]) => part.rows));
    return inside.map((parts, at) => h("div", { class: `cell ${SIDE[at]} ${plain || parts.some((part) => part.kind === "block") ? "" : "sequential"}` }, parts.map((part) => (part.kind === "block" ? this.blockOf(part) : passage(part.rows)))));
  }

  folded(both) {
    const [rows] = both;
    const cells = (take) => both.map((side, at) => h("div", { class: `cell ${SIDE[at]}` }, passage(take(side))));
    const fold = h("div", { class: "fold" }, button(`${count(rows.length - 2 * LINES_AT_ENDS)} lines in sequence in both`, () => fold.replaceWith(...cells((side) => side.slice(LINES_AT_ENDS, -LINES_AT_ENDS))), { class: "link" }));
    return [cells((side) => side.slice(0, LINES_AT_ENDS)), fold, cells((side) => side.slice(-LINES_AT_ENDS))];
  }

  blockOf(part) {
    return h(
      "section",
      { class: "block-of", "data-block": part.number },
      h("header", null, h("b", null, `Block ${part.number}`), h("span", null, lineRange(part.first, part.last)), h("span", null, plural(part.threads.length, "thread"))),
      part.threads.map((thread, at) => h("div", { class: thread.longest ? "thread-of longest" : "thread-of" }, h("p", { class: "soft" }, `Thread ${thread.k} ${lineRange(thread.first, thread.last)}`, part.outlines[at] ? [": ", inline(part.outlines[at])] : ""), passage(thread.rows))),
      part.conclusion && passage(part.conclusion, { numbers: false }),
    );
  }

  jump(side, part, block) {
    this.container.querySelector(`.cell.${SIDE[side]} .block-of[data-block="${Number(block)}"]`)?.scrollIntoView({ block: "center" });
  }

  // Goes to the next block of either.
  stepBlock(by) {
    const blocks = [...this.container.querySelectorAll(".block-of")];
    const edge = innerHeight * 0.3;
    const top = (block) => block.getBoundingClientRect().top;
    const next = by > 0 ? blocks.find((block) => top(block) > edge + 4) : blocks.findLast((block) => top(block) < edge - 4);
    if (next) scrollBy(0, top(next) - edge);
  }

  to(pair) {
    if (!pair) return null;
    return { view: "pair", runs: this.route.runs, params: new URLSearchParams([...this.params, ["a", pair[0] ?? ""], ["b", pair[1] ?? ""]]) };
  }

  showPlace() {
    const link = (pair, label) => (pair ? h("a", { href: address(this.to(pair)) }, label) : h("span", { class: "off" }, label));
    const { place, count: number, previous, next } = this.neighbours;
    this.place.replaceChildren(link(previous, "‹ previous"), h("span", null, place ? `${count(place)} of ${count(number)}` : "not in the selection"), link(next, "next ›"));
  }

  keys() {
    const step = (name) => () => this.neighbours?.[name] && go(this.to(this.neighbours[name]));
    const back = () => go({ view: "compare", runs: this.route.runs, params: this.params });
    return { j: step("next"), ArrowRight: step("next"), k: step("previous"), ArrowLeft: step("previous"), n: () => stepMarks(1), N: () => stepMarks(-1), "]": () => this.stepBlock(1), "[": () => this.stepBlock(-1), Escape: back, u: back };
  }
}

// The lines from `from` to before `to` of a passage, as a list of one passage, or of none.
function slice(part, from, to) {
  const rows = part.rows.filter(([number]) => number >= from && number < to);
  return rows.some((row) => row[2].length) ? [{ kind: "text", rows }] : [];
}

// Whether the lines outside blocks that both have are the same: one uuid may have two chains.
function haveOneChain(one, two) {
  const lines = (sample) => new Map(sample.parts.filter((part) => part.kind !== "block").flatMap((part) => part.rows.map((row) => [row[0], JSON.stringify(row[2])])));
  const [first, second] = [lines(one), lines(two)];
  const shared = [...first.keys()].filter((number) => second.has(number));
  const same = shared.filter((number) => first.get(number) === second.get(number));
  return same.length >= SAME_CHAIN * shared.length;
}
