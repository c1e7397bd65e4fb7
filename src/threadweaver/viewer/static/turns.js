// The calls about a sample as conversations: cost, tokens, time and verdict of each, and on request what was said.

import { h, button, count, measure, plural } from "./dom.js";
import { getCalls, getChat, getTurns } from "./api.js";

const LINKS = 4000;
const CITED = /\bL(\d{1,7})(?:(\s*(?:-|–|—|to)\s*)L?(\d{1,7}))?\b/g;
const FIRST_WORDS = 110;

export class Conversations {
  // `light(first, last)` shows lines of the chain.
  constructor(id, light) {
    this.id = id;
    this.light = light;
    this.element = h("section", { class: "talks", "aria-label": "Conversations", hidden: true });
    this.stage = null;
  }

  // Shows the conversations of a stage; asked for again, hides them.
  async toggle(stage) {
    const again = this.stage === stage;
    this.stage = again ? null : stage;
    this.element.hidden = again;
    if (again) return;
    try {
      this.known ??= await getCalls(this.id);
    } catch (error) {
      this.known = { stages: [], notes: [error.message] };
    }
    if (this.stage === stage) await this.drawStage(stage);
  }

  // Opens the conversations of a stage about one block, and goes there.
  async show(stage, block) {
    if (this.stage !== stage) await this.toggle(stage);
    const about = new RegExp(`\\bblock ${block}\\b`);
    const boxes = [...this.element.querySelectorAll(".talk")].filter((box) => about.test(box.querySelector("summary b").textContent));
    for (const box of boxes) box.open = true;
    (boxes[0] ?? this.element).scrollIntoView({ block: "start" });
  }

  async drawStage(stage) {
    const found = this.known.stages.find((item) => item.stage === stage);
    const close = button("close", () => this.toggle(stage), { class: "link" });
    const talks = found?.conversations ?? [];
    const calls = talks.flatMap((talk) => talk.calls);
    const boxes = talks.filter((talk) => talk.calls.length).map((talk) => this.talk(stage, talk, talks.length === 1));
    this.element.replaceChildren(
      h("header", null, h("h2", null, `Conversation${talks.length === 1 ? "" : "s"}, ${found?.title ?? stage}`), calls.length ? h("span", { class: "sum" }, sumOf(calls)) : null, h("span", { class: "grow" }), close),
      ...this.known.notes.map((note) => h("p", { class: "soft" }, note)),
      ...boxes,
    );
    if (!boxes.length) await this.chat(stage);
  }

  // What the stage itself kept of the conversation, where the ledger has nothing.
  async chat(stage) {
    const text = await getChat(this.id, stage).catch(() => null);
    if (text !== null) this.element.append(h("pre", { class: "said", tabindex: 0 }, linked(text, this.light)));
    else if (!this.known.notes.length) this.element.append(h("p", { class: "soft" }, "No conversation was kept."));
  }

  talk(stage, talk, open) {
    const box = h("details", { class: "talk", ontoggle: () => box.open && this.fill(box, stage, talk) });
    box.append(h("summary", null, h("b", null, talk.about || "whole chain"), h("span", { class: "sum" }, sumOf(talk.calls)), verdictOf(talk.calls.at(-1)), talk.calls.length > 1 && talk.calls.some((call) => call.verdict !== "accepted") ? h("span", { class: "soft" }, "not all at once") : null));
    box.open = open;
    return box;
  }

  async fill(box, stage, talk) {
    if (box.filled) return;
    box.filled = true;
    let turns = [];
    try {
      turns = await getTurns(this.id, stage, talk.number);
    } catch (error) {
      box.append(h("p", { class: "fault" }, error.message));
    }
    box.append(h("ol", { class: "turns" }, turns.map((turn, at) => this.turn(turn, talk.calls[at], at + 1))));
  }

  turn(turn, call, number) {
    return h(
      "li",
      { class: "exchange" },
      h("header", null, h("b", null, `call ${number}`), h("span", { class: "sum" }, call ? factsOf(call).join(" · ") : ""), call && verdictOf(call)),
      turn.asked.map(({ role, text, chars }) => folded(role === "user" ? "asked" : role, text, chars, this.light)),
      turn.thinking && folded("thinking", turn.thinking.text, turn.thinking.chars, this.light),
      !turn.thinking && call?.tokens.thinking ? h("p", { class: "soft" }, `${count(call.tokens.thinking)} tokens of thinking, which the service keeps to itself`) : null,
      h("pre", { class: "said reply", tabindex: 0 }, turn.reply.text ? linked(turn.reply.text, this.light) : h("em", null, "(no text)"), more(turn.reply)),
    );
  }
}

function folded(kind, text, chars, light) {
  const first = text.trim().split("\n")[0].slice(0, FIRST_WORDS);
  const box = h("details", { class: `message ${kind}`, ontoggle: () => box.open && !box.filled && ((box.filled = true), box.append(h("pre", { class: "said", tabindex: 0 }, linked(text, light), more({ text, chars })))) });
  box.append(h("summary", null, h("b", null, kind), h("span", { class: "soft" }, `${first}${first.length < text.trim().length ? " …" : ""}`), h("span", { class: "soft chars" }, plural(chars, "character"))));
  return box;
}

const more = ({ text, chars }) => (chars > text.length ? `\n… ${plural(chars - text.length, "more character")}` : "");

// A text with what cites lines of the chain as links; the numbers in front of the lines that were sent are left alone.
function linked(text, light) {
  const parts = [];
  let at = 0;
  let links = 0;
  for (const match of text.matchAll(CITED)) {
    const numbered = (match.index === 0 || text[match.index - 1] === "\n") && text[match.index + match[0].length] === ":";
    if (numbered) continue;
    if (++links > LINKS) break;
    const first = Number(match[1]);
    const last = Number(match[3] ?? match[1]);
    parts.push(text.slice(at, match.index), button(match[0], () => light(Math.min(first, last), Math.max(first, last)), { class: "lines", title: "Show these lines" }));
    at = match.index + match[0].length;
  }
  return [...parts, text.slice(at)];
}

function sumOf(calls) {
  const add = (pick) => calls.reduce((sum, call) => sum + pick(call), 0);
  const cached = add((call) => call.tokens.cached);
  const paid = calls.every((call) => call.cost !== null) ? measure(add((call) => call.cost), "$") : "price not known";
  const recorded = calls.some((call) => call.recorded) ? " when recorded" : "";
  return [plural(calls.length, "call"), `${count(add((call) => call.tokens.in))} in${cached ? ` (${count(cached)} cached)` : ""}, ${count(add((call) => call.tokens.out))} out`, paid + recorded, seconds(add((call) => call.seconds))].join(" · ");
}

function factsOf(call) {
  const { in: sent, cached, out, thinking } = call.tokens;
  return [
    call.model,
    `${count(sent)} in${cached ? ` (${count(cached)} cached)` : ""}, ${count(out)} out${thinking ? ` (${count(thinking)} thinking)` : ""}`,
    call.cost === null ? "price not known" : measure(call.cost, "$"),
    seconds(call.seconds),
    call.tier !== "default" && call.tier ? call.tier : null,
    call.attempt ? `attempt ${call.attempt + 1}` : null,
  ].filter(Boolean);
}

const seconds = (value) => (value >= 100 ? `${count(value)} s` : `${value.toFixed(value < 10 ? 2 : 1)} s`);

function verdictOf(call) {
  const why = call.why ? `: ${call.why.replaceAll("_", " ")}` : "";
  const ended = call.status !== "ok" && call.status !== call.why ? ` (${call.status})` : "";
  const words = { accepted: "accepted", repaired: "repaired by the next call", unused: "not used: no better than the call before", rejected: "rejected" };
  const kind = { accepted: "accept", rejected: "reject" }[call.verdict] ?? "";
  return h("span", { class: `chip verdict ${kind}` }, `${words[call.verdict] ?? "not judged"}${why}${ended}`);
}
