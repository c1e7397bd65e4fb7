// One trajectory: problem, answer, the critical path to scale, and the text with its threads side by side.

import { h, button, copy, count, lineRange, measure, plural, toast } from "./dom.js";
import { getSample, sampleExport } from "./api.js";
import { address, go, prefer, preference } from "./state.js";
import { hasMarks, markWords, stepMarks } from "./find.js";
import { inline, passage, setDigits } from "./rows.js";
import { fullPlan } from "./plan.js";
import { answerMark, labelOf } from "./list.js";
import { Judging } from "./judge.js";
import { Lens } from "./leaks.js";
import { ReviewBox } from "./review.js";
import { addEvidence, whyLost } from "./why.js";
import { SampleView } from "./sample.js";

const SHOWN_MEASURES = ["total_num_tokens", "num_tokens_in_the_longest_thread", "acceleration_ratio", "parallel_ratio", "parallel_count", "avg_threads_per_parallel_block", "training_length", "lines", "edits", "calls", "cost"];

export class TrajectoryView extends SampleView {
  constructor(container, run, route) {
    super(container, run, route);
    this.onscroll = () => this.followScroll();
    addEventListener("scroll", this.onscroll, { passive: true });
  }

  destroy() {
    removeEventListener("scroll", this.onscroll);
    this.lens?.destroy();
    this.sized?.disconnect();
    document.documentElement.style.removeProperty("--covered");
    super.destroy();
  }

  async fetch() {
    this.sample = await getSample(this.route.id);
  }

  draw() {
    const sample = this.sample;
    this.review = new ReviewBox(sample, this.run, { advance: () => advance(this), redraw: () => this.judging.draw() });
    this.plan = sample.measures.total_num_tokens && !sample.fault ? fullPlan(sample.parts, { total: sample.measures.total_num_tokens, longest: sample.measures.num_tokens_in_the_longest_thread, estimated: sample.estimated }, (part, block, thread) => this.jump(part, block, thread)) : null;
    this.partElements = sample.parts.map((part) => (part.kind === "block" ? this.block(part) : h("section", { class: "text" }, passage(part.rows))));
    this.place = h("span", { class: "place" });
    const lost = whyLost(this);
    this.container.replaceChildren(
      h(
        "article",
        { class: "sample" },
        sampleHead(sample, this.run, this.route, this.place, this.review),
        lost,
        this.question(),
        this.plan && h("div", { class: "strip-holder" }, this.plan.element),
        this.tools(),
        sample.fault && h("p", { class: "fault" }, "This text is not a well-formed trajectory. It is shown unchanged."),
        sample.text === null && h("p", { class: "fault" }, "These folders have no text of this sample: it was left out before it was written."),
        sample.place === "source" && h("p", { class: "fault" }, "This chain was left out when the samples were collected. It is shown as in the source dataset."),
        h("div", { class: "trajectory" }, this.partElements),
        this.foot(),
      ),
    );
    this.lens = new Lens(sample, (number) => this.container.querySelector(`#block-${number}`));
    this.judging = new Judging(this, (block) => this.judging.goTo(String(Number(block) + 1)));
    addEvidence(lost, this.lens, sample.loss?.reason);
    setDigits(this.container.firstElementChild, rowsOfParts(sample.parts));
    this.watchStrip();
    this.followScroll();
    const query = this.route.params.get("q");
    if (query) setTimeout(() => !this.gone && markWords(this.container, query), 60);
    if (this.route.block) this.jump(null, this.route.block, this.route.thread);
  }

  question() {
    const { problem, solution, final, answer, output } = this.sample;
    return h(
      "section",
      { class: "question" },
      h("div", { class: "ask" }, h("h2", null, "Problem"), problem.some((row) => row[2].length) ? passage(problem, { numbers: false }) : h("p", { class: "soft" }, "not available")),
      h(
        "dl",
        { class: "answers" },
        solution && [h("dt", null, "reference answer"), h("dd", null, inline(solution))],
        final && [h("dt", null, "final answer"), h("dd", null, inline(final), " ", answerMark(answer))],
        !final && answer !== "unknown" && [h("dt", null, "marked"), h("dd", null, answer, " ", answerMark(answer))],
        output && [h("dt", null, "output"), h("dd", null, h("details", null, h("summary", null, "what follows the thinking"), passage(output, { numbers: false })))],
      ),
    );
  }

  tools() {
    const flag = (name, label, key) => button(h("span", null, label, h("kbd", null, key)), () => this.toggle(name), { class: "tool", pressed: String(preference(name)), title: `${label} (${key})` });
    const blocks = this.sample.parts.filter((part) => part.kind === "block").length;
    if (this.sample.text === null) return h("div", { class: "tools" });
    return h(
      "div",
      { class: "tools" },
      h("span", { class: "soft" }, blocks ? `${plural(blocks, "block")}, lines of the ${this.sample.numbering === "chain" ? "original chain" : "file"}` : `no block, lines of the ${this.sample.numbering === "chain" ? "original chain" : "file"}`),
      h("span", { class: "grow" }),
      flag("math", "Mathematics", "m"),
      flag("numbers", "Lines", "l"),
      flag("tags", "Tags", "t"),
      blocks ? flag("evidence", "Evidence", "e") : null,
      blocks && !this.run.static ? flag("judging", "Judge", "v") : null,
      button(h("span", null, "Copy", h("kbd", null, "c")), () => this.copyText(), { class: "tool" }),
      !this.run.static && h("a", { class: "tool", href: sampleExport(this.sample.id), download: "", title: "This sample as one self-contained page" }, h("span", null, "Export")),
    );
  }

  toggle(name) {
    prefer(name, !preference(name));
    const bar = this.container.querySelector(".tools");
    bar?.replaceWith(this.tools());
    this.lens?.redraw();
    this.judging?.draw();
  }

  copyText() {
    copy(this.sample.text ?? "", "trajectory");
  }

  block(part) {
    const link = address({ view: "trajectory", id: this.sample.id, block: part.number, params: this.route.params });
    const columns = h("div", { class: "columns", "data-threads": part.threads.length }, part.threads.map((thread, at) => this.thread(part, thread, part.outlines[at])));
    columns.style.setProperty("--threads", part.threads.length);
    return h(
      "section",
      { class: "block", id: `block-${part.number}`, "data-block": part.number },
      h(
        "header",
        null,
        h("a", { class: "name", href: link }, `Block ${part.number}`),
        h("span", null, lineRange(part.first, part.last)),
        h("span", null, plural(part.threads.length, "thread")),
        part.tokens !== null && h("span", null, `${this.sample.estimated ? "≈ " : ""}${count(part.tokens)} tokens`),
        part.reason && h("span", { class: "why" }, part.reason),
      ),
      h("div", { class: "lens" }, h("p", { class: "lens-line" }, "looking for leaks …")),
      tag("<Parallel>"),
      columns,
      part.conclusion && h("div", { class: "conclusion" }, h("h3", null, "Conclusion"), tag("<Conclusion>"), passage(part.conclusion, { numbers: false }), tag("</Conclusion>")),
      tag("</Parallel>"),
    );
  }

  thread(part, thread, outline) {
    const link = address({ view: "trajectory", id: this.sample.id, block: part.number, thread: thread.k, params: this.route.params });
    return h(
      "div",
      { class: thread.longest ? "thread longest" : "thread", "data-thread": thread.k },
      h(
        "header",
        null,
        h("a", { class: "k", href: link, title: "Link to this thread" }, thread.k),
        h("span", null, lineRange(thread.first, thread.last)),
        h("span", null, `${this.sample.estimated ? "≈ " : ""}${count(thread.tokens)} tok`),
        thread.longest && h("span", { class: "mark" }, "longest"),
        thread.edits ? h("span", { title: "shown in the stages view" }, plural(thread.edits, "edit")) : null,
        button("copy", () => copy(thread.text, `thread ${thread.k}`), { class: "link quiet" }),
      ),
      h("div", { class: "outline" }, outline && [tag(`<Outline>${thread.k}: `), inline(outline), tag("</Outline>")]),
      h("div", { class: "body" }, tag(`<Thread> ${thread.k}:`), passage(thread.rows), tag("</Thread>")),
    );
  }

  foot() {
    const items = this.run.measures.filter(({ name }) => SHOWN_MEASURES.includes(name) && this.sample.text !== null && this.sample.measures[name] !== null && this.sample.measures[name] !== undefined);
    const verdict = this.sample.verdict;
    return h(
      "footer",
      { class: "facts" },
      h("dl", null, items.map(({ name, label, unit }) => h("div", null, h("dt", null, label), h("dd", null, (this.sample.estimated && name !== "lines" ? "≈ " : "") + measure(this.sample.measures[name], unit))))),
      h(
        "p",
        { class: "soft" },
        verdict && (verdict.reason ? `The filter’s rules but for leaks, applied now: ${verdict.reason.replaceAll("_", " ")} (${verdict.detail}). ` : "The filter’s rules but for leaks, applied now: accepted. "),
        verdict?.conserved === true && "Without markup and edits it is the chain, character for character. ",
        verdict?.conserved === false && "Without markup and edits it is NOT the chain. ",
        this.sample.estimated && `Lengths are ${this.run.tokenizer.estimate}.`,
      ),
    );
  }

  jump(part, block, thread) {
    let target = part !== null && part !== undefined ? this.partElements[part] : this.container.querySelector(`#block-${Number(block)}`);
    this.container.querySelector(".target")?.classList.remove("target");
    if (target && thread) target = target.querySelector(`[data-thread="${Number(thread)}"]`) ?? target;
    if (!target) return;
    if (block) target.classList.add("target");
    this.stepped = target.closest(".block");
    if (this.stepped && this.judging) this.judging.at = `${this.stepped.dataset.block}${thread ? `.${Number(thread)}` : ""}`;
    this.judging?.draw();
    settle(target);
  }

  // Marks the reader's place in the text on the plan.
  followScroll() {
    if (!this.plan || this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const line = innerHeight * 0.35;
      const at = this.partElements.findIndex((element) => element.getBoundingClientRect().bottom > line);
      const index = at < 0 ? this.partElements.length - 1 : at;
      const box = this.partElements[index].getBoundingClientRect();
      this.plan.mark(index, Math.min(1, Math.max(0, (line - box.top) / Math.max(1, box.height))));
    });
  }

  // Tells the style sheet how much of the window the bar and the plan cover: what is jumped to lands below them.
  watchStrip() {
    const strip = this.container.querySelector(".strip-holder");
    if (!strip) return;
    this.sized = new ResizeObserver(() => document.documentElement.style.setProperty("--covered", `${strip.offsetHeight}px`));
    this.sized.observe(strip);
    document.documentElement.style.setProperty("--covered", `${strip.offsetHeight}px`);
  }

  // Goes on from the block that the last step led to while it is in the window: the last blocks of a text never reach the top.
  stepBlock(by) {
    const blocks = [...this.container.querySelectorAll(".block")];
    const edge = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
    const top = (block) => block.getBoundingClientRect().top;
    const from = blocks.indexOf(this.stepped);
    let to = from + by;
    if (from < 0 || top(this.stepped) > innerHeight || this.stepped.getBoundingClientRect().bottom < edge) {
      to = by > 0 ? blocks.findIndex((block) => top(block) > edge + 4) : blocks.findLastIndex((block) => top(block) < edge - 4);
    }
    if (!blocks[to]) return;
    this.stepped = blocks[to];
    this.jump(null, this.stepped.dataset.block);
  }

  keys() {
    return {
      ...stepKeys(this),
      "]": () => this.stepBlock(1),
      "[": () => this.stepBlock(-1),
      m: () => this.toggle("math"),
      l: () => this.toggle("numbers"),
      t: () => this.toggle("tags"),
      e: () => this.toggle("evidence"),
      v: () => !this.run.static && this.toggle("judging"),
      ...this.judging?.keys(),
      c: () => this.copyText(),
    };
  }
}

// Scrolls to the element, repeatedly while the text above it gets its true height, until the reader takes over.
function settle(element) {
  const until = performance.now() + 1500;
  let over = false;
  const stop = () => (over = true);
  for (const name of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(name, stop, { once: true, passive: true });
  const step = () => {
    if (over || !element.isConnected) return;
    element.scrollIntoView({ block: "start", inline: "nearest" });
    if (performance.now() < until) requestAnimationFrame(step);
  };
  step();
}

// All rows of a sample's parts, for their line numbers.
export const rowsOfParts = (parts) => parts.flatMap((part) => (part.kind === "block" ? part.threads.flatMap((thread) => thread.rows) : part.rows));

const tag = (text) => h("span", { class: "tag markup" }, text);

// The head shared by the trajectory and stages views: the way back, the place in the list, the name, the review.
export function sampleHead(sample, run, route, place, review) {
  const tab = (view, label, key) => h("a", { class: route.view === view ? "tab here" : "tab", href: address({ view, id: sample.id, params: route.params }), "aria-current": route.view === view ? "page" : undefined }, label, h("kbd", null, key));
  const lost = sample.outcome !== "ok" && sample.outcome !== "unchanged";
  return h(
    "header",
    { class: "sample-head" },
    h("div", { class: "crumbs" }, h("a", { href: address({ params: route.params }) }, "← List"), place),
    h(
      "div",
      { class: "title" },
      h("h1", null, sample.uuid || sample.id),
      h("span", { class: sample.loss?.later ? "chip" : `chip outcome-${sample.outcome}` }, sample.loss?.later ? `passed ${sample.stage}` : labelOf("outcome", sample.outcome), lost && sample.reason ? `: ${sample.reason.replaceAll("_", " ")}` : "", lost && sample.stage ? ` (${sample.stage})` : ""),
      sample.loss?.later && h("span", { class: "chip outcome-rejected" }, `later ${sample.loss.outcome}: ${sample.loss.reason.replaceAll("_", " ")}`),
    ),
    h("div", { class: "head-right" }, h("nav", { class: "tabs", "aria-label": "Views" }, tab("trajectory", "Trajectory", "1"), run.stages.length ? tab("stages", "Stages", "2") : null, tab("raw", "Raw", "3")), review.element),
  );
}

// Opens the next sample of the selection that has no verdict.
export async function advance(view) {
  if (!view.settled) await view.ready;
  if (view.gone) return;
  const { open } = view.neighbours;
  if (open) go({ ...view.route, id: open, block: null, thread: null });
  else toast("every sample of the selection has a verdict");
}

export function stepKeys(view) {
  const { route } = view;
  const step = (id) => id && go({ ...route, id, block: null, thread: null });
  return {
    j: () => step(view.neighbours.next),
    k: () => step(view.neighbours.previous),
    ArrowRight: () => step(view.neighbours.next),
    ArrowLeft: () => step(view.neighbours.previous),
    a: () => view.review?.decide("accept"),
    x: () => view.review?.decide("reject"),
    n: () => (hasMarks() ? stepMarks(1) : view.review?.note()),
    N: () => stepMarks(-1),
    z: () => view.review?.undo(),
    1: () => go({ ...route, view: "trajectory", block: null, thread: null }),
    2: () => view.run.stages.length && go({ ...route, view: "stages", block: null, thread: null }),
    3: () => go({ ...route, view: "raw", block: null, thread: null }),
    Escape: () => go({ params: route.params }),
    u: () => go({ params: route.params }),
  };
}
