// One sample through all stages: the annotation, the original next to the result, every edit in place.

import { h, button, count, lineRange, measure, plural } from "./dom.js";
import { getReasons, getSample, getStages } from "./api.js";
import { address } from "./state.js";
import { inline, passage, setDigits } from "./rows.js";
import { labelOf } from "./list.js";
import { ReviewBox } from "./review.js";
import { Conversations } from "./turns.js";
import { advance, rowsOfParts, sampleHead, stepKeys } from "./trajectory.js";
import { SampleView } from "./sample.js";

const FOLDED_FROM = 14;
const EDGE_LINES = 3;
const MONEY = ["cost_usd"];
// Facts that are shown in other words or elsewhere, and keys that no reader needs.
const HIDDEN = ["calls", "asked", "error", "detail", "recorded", "recorded_usd", "row", "worth", "leaks", "strongest_leak", "answer_rl", "source_uuid", ...MONEY];

export class StagesView extends SampleView {
  async fetch() {
    [this.sample, this.way] = await Promise.all([getSample(this.route.id), getStages(this.route.id)]);
  }

  drawn() {
    this.explain();
  }

  draw() {
    this.place = h("span", { class: "place" });
    this.review = new ReviewBox(this.sample, this.run, { advance: () => advance(this) });
    this.talks = new Conversations(this.sample.id, (first, last) => this.light(first, last));
    this.compared = h("div", { class: "compared" }, this.compare());
    this.container.replaceChildren(
      h(
        "article",
        { class: "sample stages" },
        sampleHead(this.sample, this.run, this.route, this.place, this.review),
        h("ol", { class: "way" }, this.way.path.map((station) => this.station(station))),
        this.talks.element,
        this.unused(),
        this.evidence(),
        h("div", { class: "bench" }, this.outline(), this.compared),
      ),
    );
    setDigits(this.container.firstElementChild, [...(this.way.chain ?? []), ...rowsOfParts(this.way.parts)]);
  }

  station(station) {
    const facts = station.facts ?? {};
    const calls = facts.calls ? [plural(facts.calls, "call"), tokensOf(facts), costOf(facts)].filter(Boolean).join(" · ") : "";
    const others = Object.entries(facts).filter(([name, value]) => !HIDDEN.includes(name) && !/token/.test(name) && isShown(value));
    const said = !this.run.static && (facts.calls || this.way.chats.includes(station.stage));
    return h(
      "li",
      { class: station.outcome ? `station ${station.outcome}` : "station absent", title: settingsOf(station) },
      h("b", null, station.title),
      h("span", { class: "outcome" }, h("i", { class: `dot outcome-${station.outcome ?? "none"}` }), station.outcome ? (station.outcome === "ok" ? "ok" : labelOf("outcome", station.outcome)) : "not reached", station.reason ? `: ${station.reason.replaceAll("_", " ")}` : ""),
      others.map(([name, value]) => h("span", { class: "fact" }, factText(name, value))),
      calls && h("span", { class: "fact calls" }, calls),
      (facts.error || facts.detail) && h("span", { class: "fact" }, facts.error || facts.detail),
      said ? button("conversation", () => this.talks.toggle(station.stage), { class: "link" }) : null,
    );
  }

  unused() {
    if (!this.way.unused.length) return null;
    return h(
      "section",
      { class: "panel" },
      h("h2", null, "Blocks not used"),
      h("ul", null, this.way.unused.map((item) => h("li", null, h("b", null, item.code.replaceAll("_", " ")), item.first ? this.lineLink(item.first, item.last) : null, h("span", null, `block ${item.number} of the annotation`, item.detail ? `: ${item.detail}` : "")))),
    );
  }

  // What the stages noted: what threads have of each other, what was chosen, what is wrong with the annotation.
  evidence() {
    const of = (...kinds) => this.way.notes.filter((note) => kinds.includes(note.kind));
    const others = this.way.notes.filter((note) => !["annotation", "candidate", "leak", "referee"].includes(note.kind));
    const lists = [
      ["Evidence that threads depend on each other", [...of("leak"), ...others], noteText],
      ["Blocks that were considered", of("candidate"), candidateText],
      ["Defects of the annotation", of("annotation"), defectText],
    ];
    const shown = lists.filter(([, notes]) => notes.length);
    if (!shown.length) return null;
    return h("section", { class: "panel" }, shown.map(([title, notes, text]) => [h("h2", null, title), h("ul", null, notes.map((note) => h("li", null, h("b", null, nameOf(note)), this.noteLines(note), h("span", null, text(note)))))]));
  }

  noteLines(note) {
    if (!note.lines) return null;
    return [note.lines].flat().map((range) => {
      const [first, last] = String(range).match(/\d+/g)?.map(Number) ?? [];
      return first ? this.lineLink(first, last ?? first) : null;
    });
  }

  lineLink(first, last) {
    return button(lineRange(first, last), () => this.light(first, last), { class: "lines", title: "Show these lines" });
  }

  outline() {
    if (!this.way.steps.length) return h("nav", { class: "step-outline" }, h("h2", null, "Steps"), h("p", { class: "soft" }, "The annotation of this sample is not available."));
    const items = this.way.steps.map((step) => {
      const block = step.depth ? null : this.blockOf(step);
      const text = h("button", { type: "button", class: block ? "step in-block" : "step", "data-depth": step.depth, onclick: () => step.first && this.light(step.first, step.last) }, h("span", { class: "s" }, `S${step.number}`), h("span", { class: "d" }, inline(step.description)), h("span", { class: "r" }, lineRange(step.first, step.last)));
      return h("li", null, block && block.opens ? h("div", { class: block.used ? "group used" : "group" }, `Block ${block.number} · ${plural(block.threads, "thread")}${block.used ? "" : " · not used"}${block.failed ? " · check failed" : ""}`) : null, text);
    });
    return h("nav", { class: "step-outline", "aria-label": "Steps" }, h("h2", null, `Steps, as annotated`), h("ol", null, items));
  }

  blockOf(step) {
    for (const block of this.way.annotated) {
      const at = block.threads.findIndex((thread) => thread.steps.includes(step.number));
      if (at < 0) continue;
      const used = !this.way.unused.some((item) => item.number === block.number);
      return { number: block.number, threads: block.threads.length, used, failed: block.threads.some((thread) => thread.passed === false), opens: at === 0 && block.threads[0].steps[0] === step.number };
    }
    return null;
  }

  compare() {
    const { chain, parts } = this.way;
    const heads = [h("h2", { class: "left" }, chain ? "Original chain" : ""), h("h2", { class: "right" }, "Result")];
    if (!parts.length) return [heads, chain ? [h("div", { class: "left" }, passage(chain)), h("p", { class: "right soft" }, "No trajectory was made from it.")] : h("p", { class: "soft" }, "Neither chain nor trajectory of this sample is available.")];
    if (!chain || this.sample.numbering !== "chain") return [heads, h("div", { class: "left" }, chain ? passage(chain) : ""), h("div", { class: "right" }, parts.map((part) => (part.kind === "block" ? this.block(part) : passage(part.rows))))];
    return [heads, parts.map((part) => (part.kind === "block" ? this.pair(part, chain) : this.same(part)))];
  }

  // A block thread by thread, each next to the lines it was made from.
  pair(block, chain) {
    const rows = (thread) => chain.filter(([number]) => number >= thread.first && number <= thread.last);
    return [
      h("div", { class: "right of-block top" }, this.blockHead(block)),
      block.threads.map((thread, at) => [h("div", { class: "left changed" }, passage(rows(thread))), h("div", { class: "right of-block" }, this.threadOf(block, thread, at))]),
      h("div", { class: "right of-block bottom" }, block.conclusion && h("div", { class: "conclusion" }, passage(block.conclusion, { numbers: false }))),
    ];
  }

  // Unchanged text is shown in both columns; a long passage is folded.
  same(part) {
    const { rows } = part;
    if (rows.length < FOLDED_FROM) return [h("div", { class: "left" }, passage(rows)), h("div", { class: "right same" }, passage(rows))];
    const inner = rows.slice(EDGE_LINES, -EDGE_LINES);
    const fold = h("div", { class: "fold" });
    const open = () => {
      if (!fold.isConnected) return;
      fold.replaceWith(h("div", { class: "left" }, passage(inner)), h("div", { class: "right same" }, passage(inner)));
    };
    fold.open = open;
    fold.dataset.first = inner[0][0];
    fold.dataset.last = inner.at(-1)[0] + inner.at(-1)[1] - 1;
    fold.append(button(`${count(fold.dataset.last - fold.dataset.first + 1)} lines unchanged, ${lineRange(Number(fold.dataset.first), Number(fold.dataset.last))}`, open, { class: "link" }));
    const [top, bottom] = [rows.slice(0, EDGE_LINES), rows.slice(-EDGE_LINES)];
    return [h("div", { class: "left" }, passage(top)), h("div", { class: "right same" }, passage(top)), fold, h("div", { class: "left" }, passage(bottom)), h("div", { class: "right same" }, passage(bottom))];
  }

  block(part) {
    return h("section", { class: "of-block whole" }, this.blockHead(part), part.threads.map((thread, at) => this.threadOf(part, thread, at)), part.conclusion && h("div", { class: "conclusion" }, passage(part.conclusion, { numbers: false })));
  }

  blockHead(part) {
    return h("header", { class: "block-head" }, h("a", { class: "name", href: address({ view: "trajectory", id: this.sample.id, block: part.number, params: this.route.params }) }, `Block ${part.number}`), h("span", null, lineRange(part.first, part.last)), part.reason && h("span", { class: "why" }, part.reason));
  }

  threadOf(part, thread, at) {
    return h(
      "div",
      { class: thread.longest ? "thread longest" : "thread" },
      h("header", null, h("span", { class: "k" }, thread.k), h("span", null, lineRange(thread.first, thread.last)), thread.edits ? h("span", { class: "mark" }, plural(thread.edits, "edit")) : null),
      part.outlines[at] && h("div", { class: "outline" }, inline(part.outlines[at])),
      passage(thread.rows),
      thread.changes.length ? h("ul", { class: "changes", "aria-label": "Edits and why" }, thread.changes.map((change, number) => this.change(part, `${part.number}.${thread.k}`, number, change))) : null,
      thread.skipped.length ? h("ul", { class: "skipped" }, thread.skipped.map((item) => h("li", null, h("b", null, `left out, ${item.code.replaceAll("_", " ")}: `), h("del", null, item.src), " ", h("ins", null, item.dest)))) : null,
    );
  }

  change(part, name, number, { src, dest }) {
    const asked = this.way.path.find((station) => station.stage === "rewrite" && station.facts?.calls);
    return h(
      "li",
      null,
      h("del", null, src || "(nothing)"),
      " → ",
      h("ins", null, dest || "(nothing)"),
      h("span", { class: "soft because", "data-thread": name, "data-number": number }),
      asked && !this.run.static ? button("the call", () => this.talks.show("rewrite", part.number), { class: "link" }) : null,
    );
  }

  // What stands behind the edits is looked for once the page is there.
  async explain() {
    const boxes = [...this.container.querySelectorAll(".because")];
    if (!boxes.length) return;
    const reasons = await getReasons(this.sample.id).catch(() => ({}));
    for (const box of boxes) {
      const why = reasons[box.dataset.thread]?.[box.dataset.number] ?? [];
      box.textContent = why.length ? ` · why: ${why.join("; ")}` : " · nothing in the siblings is known to stand behind it";
    }
  }

  // Highlights lines `first` to `last` of the chain on both sides.
  light(first, last) {
    for (const fold of this.compared.querySelectorAll(".fold")) if (Number(fold.dataset.first) <= last && Number(fold.dataset.last) >= first) fold.open();
    for (const line of this.compared.querySelectorAll(".lit")) line.classList.remove("lit");
    const lines = [...this.compared.querySelectorAll("[data-first]:not(.fold)")].filter((line) => Number(line.dataset.first) <= last && Number(line.dataset.last) >= first);
    for (const line of lines) line.classList.add("lit");
    lines[0]?.scrollIntoView({ block: "center" });
  }

  keys() {
    return stepKeys(this);
  }
}

const isShown = (value) => typeof value !== "object" || value === null || Array.isArray(value) ? isFact(value) : false;
const isFact = (value) => (typeof value === "number" && value !== 0) || typeof value === "boolean" || typeof value === "string" || (Array.isArray(value) && value.length > 0);

function factText(name, value) {
  const label = name.replaceAll("_", " ");
  if (typeof value === "boolean") return `${label}: ${value ? "yes" : "no"}`;
  if (typeof value === "number") return `${count(value)} ${value === 1 ? label.replace(/s$/, "") : label}`;
  if (!Array.isArray(value)) return `${label}: ${value}`;
  const tally = new Map();
  for (const item of value) tally.set(item, (tally.get(item) ?? 0) + 1);
  return `${label}: ${[...tally].map(([item, number]) => String(item).replaceAll("_", " ") + (number > 1 ? ` ×${number}` : "")).join(", ")}`;
}

function tokensOf(facts) {
  if (facts.tokens_in === undefined) return "";
  return `${count(facts.tokens_in)} in, ${count(facts.tokens_out ?? 0)} out`;
}

function costOf(facts) {
  if (facts.recorded && facts.recorded === facts.calls) return `${measure(facts.recorded_usd ?? 0, "$")} when recorded`;
  const name = MONEY.find((key) => typeof facts[key] === "number");
  return name ? measure(facts[name], "$") : "";
}

function settingsOf(station) {
  return [station.folder, ...Object.entries(station.settings).map(([name, value]) => `${name}: ${value}`)].join("\n");
}

const nameOf = (note) => String((note.kind === "annotation" ? note.code : note.kind) ?? "note").replaceAll("_", " ");

function noteText(note) {
  const threads = note.source && note.target ? `thread ${note.target} uses thread ${note.source}` : note.thread ? `thread ${note.thread}` : "";
  const score = typeof note.score === "number" ? `score ${note.score.toFixed(2)}` : "";
  const known = [note.block ? `block ${note.block}` : "", threads, note.evidence ?? note.code?.replaceAll("_", " ") ?? "", note.what ? `“${note.what}”` : "", score, note.detail ?? ""].filter(Boolean).join(" · ");
  return known || JSON.stringify(note);
}

function candidateText(note) {
  return [`block ${note.block} of the annotation`, plural(note.threads, "thread"), note.nature, `${plural(note.saved, "character")} beside the longest`, note.chosen ? "chosen" : "not chosen"].filter(Boolean).join(" · ");
}

function defectText(note) {
  return `${note.block ? `block ${note.block}` : ""}${note.thread ? `, thread ${note.thread}` : ""}: ${note.detail ?? ""}`;
}
