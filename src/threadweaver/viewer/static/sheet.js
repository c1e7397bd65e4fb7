// A judging sheet: one block after the other, without where it comes from, with five questions about it.

import { h, button, count, toast } from "./dom.js";
import { getBlock, getSheet, putJudged } from "./api.js";
import { Judging, QUESTIONS } from "./judge.js";
import { inline, passage } from "./rows.js";
import { go } from "./state.js";

const ASKED = Object.keys(QUESTIONS).length;

export class SheetView {
  constructor(container, run, route) {
    this.container = container;
    this.run = { ...run, static: false };
    this.number = Number(route.params.get("n")) || null;
    this.changed = [];
    this.ready = this.load();
  }

  destroy() {
    this.gone = true;
  }

  async load() {
    try {
      this.answered = (await getSheet()).answered;
      this.number ??= this.open(0) ?? 1;
      this.number = Math.min(this.number, this.answered.length);
      this.shown = await getBlock(this.number);
    } catch (error) {
      if (!this.gone) this.container.replaceChildren(h("p", { class: "empty" }, error.message));
      return;
    }
    if (this.gone) return;
    this.draw();
    this.settled = true;
  }

  // The first block from `from` on, and then from the beginning, about which not all is answered.
  open(from) {
    const order = [...this.answered.keys()].map((at) => (at + from) % this.answered.length);
    const at = order.find((one) => this.answered[one] < ASKED);
    return at === undefined ? null : at + 1;
  }

  goTo(number) {
    if (!number || number < 1 || number > this.answered.length) return;
    if (number !== this.number) go({ params: new URLSearchParams([["n", number]]) });
  }

  draw() {
    const { problem, context, left_out: leftOut, block, judged } = this.shown;
    this.sample = { parts: [block] };
    this.review = { kept: { judged }, judge: (place, question, answer) => this.judge(place, question, answer) };
    const columns = h("div", { class: "columns", "data-threads": block.threads.length }, block.threads.map((thread, at) => this.thread(thread, block.outlines[at])));
    columns.style.setProperty("--threads", block.threads.length);
    this.place = h("div", { class: "place" });
    this.container.replaceChildren(
      h(
        "article",
        { class: "sample sheet" },
        h("header", { class: "sheet-head" }, h("h1", null, `Block ${count(this.number)} of ${count(this.answered.length)}`), this.place, h("span", { class: "grow" }), button("‹ previous", () => this.goTo(this.number - 1), { class: "link" }), button("next ›", () => this.goTo(this.number + 1), { class: "link" }), button("undo", () => this.undo(), { class: "link" })),
        h("section", { class: "question" }, h("div", { class: "ask" }, h("h2", null, "Problem"), passage(problem, { numbers: false }))),
        h("section", { class: "text" }, h("h2", null, "Before the block", leftOut ? `, its last lines (${count(leftOut)} before them are left out)` : ""), passage(context, { numbers: false })),
        h("section", { class: "block", id: "block-1", "data-block": 1 }, h("header", null, h("b", { class: "name" }, "The block")), columns),
      ),
    );
    this.judging = new Judging(this, () => this.goTo(this.open(this.number)));
    this.forced();
    this.drawPlace();
  }

  // On a sheet the questions are always there.
  forced() {
    Object.defineProperty(this.judging, "on", { value: true });
    this.judging.draw();
  }

  thread(thread, outline) {
    return h("div", { class: "thread", "data-thread": thread.k }, h("header", null, h("span", { class: "k" }, thread.k)), h("div", { class: "outline" }, outline && inline(outline)), h("div", { class: "body" }, passage(thread.rows, { numbers: false })));
  }

  drawPlace() {
    const done = this.answered.filter((number) => number >= ASKED).length;
    const bar = h("i");
    bar.style.setProperty("--done", done / this.answered.length);
    this.place.replaceChildren(h("span", { class: "progress" }, bar, `${count(done)} of ${count(this.answered.length)} answered`));
  }

  async judge(place, question, answer, undoing = false) {
    const { judged } = this.review.kept;
    const before = judged[place]?.[question] ?? "";
    judged[place] = { ...judged[place], [question]: answer };
    if (!answer) delete judged[place][question];
    if (!undoing) this.changed.push([place, question, before]);
    this.answered[this.number - 1] = Object.keys(judged["1"] ?? {}).length;
    this.drawPlace();
    await putJudged(this.number, { [place]: { [question]: answer } }).catch((error) => toast(error.message));
  }

  undo() {
    const last = this.changed.pop();
    if (!last) return toast("nothing to undo on this block");
    this.judge(...last, true);
    this.judging.draw();
  }

  keys() {
    return { ...this.judging?.keys(), j: () => this.goTo(this.number + 1), k: () => this.goTo(this.number - 1), z: () => this.undo() };
  }
}
