// The leak lens: what the threads of a block take from each other, as a table, underlines and arcs.

import { h, button, count, measure, plural } from "./dom.js";
import { getEvidence } from "./api.js";
import { boxOf, drawArcs, placesOf } from "./marks.js";
import { preference } from "./state.js";

const FEW = 6;
const MOST_ARCS = 40;
const AGAIN = 120;
const KINDS = ["certain", "suspected", "slight", "referee"];

export class Lens {
  // `blockOf(number)` is the element of a block, `parts` are the sample's parts.
  constructor(sample, blockOf) {
    this.blockOf = blockOf;
    this.parts = sample.parts.filter((part) => part.kind === "block");
    this.ready = this.parts.length ? this.load(sample.id) : Promise.resolve(null);
  }

  destroy() {
    this.gone = true;
    this.sized?.disconnect();
    for (const kind of [...KINDS, "picked"]) globalThis.CSS?.highlights?.delete(`leak-${kind}`);
  }

  async load(id) {
    try {
      this.found = await getEvidence(id);
    } catch (error) {
      this.failed = error.message;
    }
    if (this.gone) return null;
    if (!this.found) {
      for (const part of this.parts) this.blockOf(part.number)?.querySelector(".lens-line")?.replaceChildren(this.failed ?? "");
      return null;
    }
    this.sized = new ResizeObserver((entries) => entries.forEach(({ target }) => this.arcs(target.closest(".block"))));
    this.blocks = this.found.blocks.map((block, at) => this.add(block, this.parts[at])).filter(Boolean);
    this.mark();
    return this.found;
  }

  add(block, part) {
    const element = this.blockOf(block.number);
    if (!element || !part) return null;
    const links = [...block.leaks.map((leak) => ({ ...leak, grade: leak.score >= this.found.confident ? "certain" : leak.score >= this.found.suspected ? "suspected" : "slight" })), ...(block.referee?.takes ?? []).map((taken) => ({ ...taken, grade: "referee" }))];
    const known = { block, part, element, links, all: links.length <= FEW };
    known.box = element.querySelector(".lens");
    this.drawTable(known);
    this.sized.observe(element.querySelector(".columns"));
    return known;
  }

  drawTable(known) {
    const { block, links } = known;
    const shown = known.all ? links : links.slice(0, FEW);
    const rows = shown.map((link, at) => this.row(known, link, at));
    known.box.replaceChildren(
      h("p", { class: "lens-line" }, block.skipped ? "too long a text to look for leaks" : leaksText(block.leaks, this.found.suspected), ` · ${worthText(block.worth)}`, block.referee && ` · referee: ${block.referee.independent ? "independent" : "not independent"}, ${block.referee.sensible ? "sensible" : "not sensible"}, worth ${block.referee.worth}`),
      links.length ? h("table", { class: "leaks" }, h("thead", null, h("tr", null, ["source", "target", "kind", "what", "score"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", null, rows)) : "",
      known.all ? "" : button(`all ${count(links.length)}`, () => ((known.all = true), this.drawTable(known), this.mark()), { class: "link" }),
    );
  }

  row(known, link, at) {
    const name = (thread) => `thread ${thread}`;
    const score = link.score === undefined ? "referee" : link.score.toFixed(2);
    return h(
      "tr",
      { class: `leak-row ${link.grade}`, "data-number": at, onmouseenter: () => this.light(known, at), onmouseleave: () => this.light(known, known.picked) },
      h("td", null, button(name(link.source), () => this.show(known, at, "source"), { class: "link" }), h("span", { class: "at source" })),
      h("td", null, button(name(link.target), () => this.show(known, at, "target"), { class: "link" }), h("span", { class: "at target" })),
      h("td", null, link.kind),
      h("td", { class: "what" }, link.what),
      h("td", { class: "score" }, link.score === undefined ? null : scoreBar(link.score), score),
    );
  }

  // Finds the places of all links in the text; a long thread is drawn bit by bit, so again until all of it is there.
  mark() {
    if (this.gone) return;
    const highlights = Object.fromEntries(KINDS.map((kind) => [kind, []]));
    let whole = true;
    for (const known of this.blocks) {
      for (const element of known.element.querySelectorAll(".leak-mark")) element.classList.remove("leak-mark", ...KINDS);
      whole = this.locate(known) && whole;
      for (const link of known.links) {
        for (const place of [link.from, link.to]) {
          if (!place) continue;
          highlights[link.grade].push(...place.ranges);
          for (const element of place.elements) element.classList.add("leak-mark", link.grade);
        }
      }
      known.links.slice(0, known.all ? undefined : FEW).forEach((link, at) => {
        const row = known.box.querySelector(`.leak-row[data-number="${at}"]`);
        row.querySelector(".source").textContent = lineNumber(link.from);
        row.querySelector(".target").textContent = lineNumber(link.to);
      });
      this.arcs(known.element);
    }
    if (globalThis.CSS?.highlights) for (const kind of KINDS) CSS.highlights.set(`leak-${kind}`, new Highlight(...highlights[kind]));
    if (!whole) setTimeout(() => this.mark(), AGAIN);
  }

  locate({ element, part, links }) {
    let whole = true;
    part.threads.forEach((thread, at) => {
      const here = links.flatMap((link) => [
        ...(link.source === at + 1 && link.at ? [[link, "from", link.at]] : []),
        ...(link.target === at + 1 && link.used ? [[link, "to", link.used]] : []),
      ]);
      if (!here.length) return;
      const body = element.querySelector(`[data-thread="${at + 1}"] .body`);
      const places = placesOf(body, thread.rows, here.map(([, , span]) => span));
      if (!places) whole = false;
      else here.forEach(([link, end], which) => (link[end] = places[which]));
    });
    return whole;
  }

  arcs(element) {
    const known = this.blocks?.find((other) => other.element === element);
    if (!known) return;
    const drawn = preference("evidence") ? known.links.map((link, number) => ({ link, number })).filter(({ link, number }) => link.from && link.to && (link.grade !== "slight" || number === known.lit)) : [];
    drawArcs(
      element.querySelector(".columns"),
      drawn.slice(0, MOST_ARCS).map(({ link, number }) => ({ from: boxOf(link.from), to: boxOf(link.to), kind: number === known.lit ? `${link.grade} lit` : link.grade, number })).filter(({ from, to }) => from?.width && to?.width),
    );
  }

  redraw() {
    for (const known of this.blocks ?? []) this.arcs(known.element);
  }

  light(known, number) {
    if (known.lit === number) return;
    known.lit = number;
    const link = known.links[number];
    if (globalThis.CSS?.highlights) CSS.highlights.set("leak-picked", new Highlight(...(link?.from?.ranges ?? []), ...(link?.to?.ranges ?? [])));
    this.arcs(known.element);
  }

  show(known, number, end) {
    known.picked = number;
    this.light(known, number);
    const link = known.links[number];
    const place = end === "source" ? link.from : link.to;
    (place?.line ?? known.element.querySelector(`[data-thread="${link[end]}"]`))?.scrollIntoView({ block: "center" });
  }
}

function leaksText(leaks, suspected) {
  const strong = leaks.filter((leak) => leak.score >= suspected).length;
  return [strong ? plural(strong, "leak") : "no leak found", leaks.length - strong ? `${plural(leaks.length - strong, "slight trace")}` : ""].filter(Boolean).join(", ");
}

const lineNumber = (place) => (place?.line?.dataset.first ? ` L${place.line.dataset.first}` : "");

function scoreBar(score) {
  const bar = h("i", { class: "scale" });
  bar.style.setProperty("--score", score);
  return bar;
}

function worthText(worth) {
  const saved = worth.saved_tokens ?? 0;
  return [
    worth.kind,
    worth.novelty,
    `saves ${worth.estimated ? "≈ " : ""}${plural(saved, "token")}`,
    !worth.settled ? "" : `${measure(worth.settled, "%")} of its final values settled before it`,
    worth.after_answer ? "begins after the final answer" : "",
  ].filter(Boolean).join(" · ");
}
