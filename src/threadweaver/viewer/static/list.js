// The list: search, filters with counts of what they would leave, totals of the selection, and one row per sample.

import { h, button, byId, count, measure, plural, toast } from "./dom.js";
import { exportAddress, getList, putReview } from "./api.js";
import { address, go, replaceRoute } from "./state.js";
import { histogram } from "./histogram.js";
import { miniPlan } from "./plan.js";
import { inline } from "./rows.js";

const MAIN_MEASURES = ["total_num_tokens", "acceleration_ratio", "parallel_ratio", "parallel_count", "avg_threads_per_parallel_block", "avg_thread_length"];
const OUTCOMES = { ok: "accepted", unchanged: "unchanged", rejected: "rejected", failed: "failed", malformed: "malformed", pending: "pending" };
const PAGE_ROWS = 60;
const MOST_ROWS = 200;

// Where the reader left the list: its address, how many rows were loaded, the current row, the first row in the window.
let left = null;

export class ListView {
  // `read`: the sample's view from which the reader returns, if any; its sample becomes the current row.
  constructor(container, run, params, read = null) {
    this.run = run;
    this.params = new URLSearchParams(params);
    this.wanted = this.returnTo(read);
    this.rows = [];
    this.current = -1;
    this.asked = 0;
    this.more = null;
    this.open = false;
    this.totals = h("section", { class: "totals", "aria-label": "Totals of the selection" });
    this.filters = h("aside", { class: "filters", id: "filters", "aria-label": "Filters" });
    this.body = h("div", { class: "rows" });
    this.head = h("div", { class: "list-head" });
    this.end = h("div", { class: "end" });
    container.replaceChildren(h("div", { class: "list-view" }, this.filters, h("div", { class: "list" }, h("h1", { class: "unseen" }, run.name), this.totals, this.head, this.body, this.end)));
    this.watcher = new IntersectionObserver((entries) => entries[0].isIntersecting && this.loadMore(), { rootMargin: "900px" });
    this.watcher.observe(this.end);
    this.body.addEventListener("focusin", (event) => event.target.matches(".row") && this.point(Number(event.target.dataset.at), false));
    this.load();
  }

  destroy() {
    this.watcher.disconnect();
    this.asked += 1;
    const first = [...this.body.children].find((row) => row.getBoundingClientRect().bottom > 0);
    left = { address: this.params.toString(), loaded: this.rows.length, id: this.rows[this.current]?.id, first: first?.dataset.id, top: first?.getBoundingClientRect().top };
  }

  // What has to be loaded and shown so that the reader finds the list as it was left; null for a new list.
  returnTo(read) {
    const known = left?.address === this.params.toString() ? left : null;
    const id = read?.route?.id ?? known?.id;
    if (!id && !known) return null;
    return { id, rows: Math.max(known?.loaded ?? 0, read?.neighbours?.place ?? 0), first: known?.first, top: known?.top };
  }

  // `ready` is the promise of the rows that are being fetched, `settled` says that they are shown.
  load() {
    this.settled = false;
    this.ready = this.fetch(++this.asked);
    return this.ready;
  }

  async fetch(mine) {
    this.body.setAttribute("aria-busy", "true");
    try {
      const page = await getList(this.params);
      while (mine === this.asked && page.rows.length < Math.min(page.count, this.wanted?.rows ?? 0)) {
        page.rows.push(...(await getList(this.params, page.rows.length, MOST_ROWS)).rows);
      }
      if (mine !== this.asked) return this.ready;
      const current = this.wanted?.id ?? this.rows[this.current]?.id;
      this.rows = page.rows;
      this.count = page.count;
      this.page = page;
      this.current = this.rows.findIndex((row) => row.id === current);
      this.show();
      if (this.wanted) this.restore();
    } catch (error) {
      if (mine === this.asked) this.body.replaceChildren(h("p", { class: "empty" }, error.message));
    }
    if (mine !== this.asked) return this.ready;
    this.settled = true;
    this.body.removeAttribute("aria-busy");
  }

  // Puts the row that was first in the window where it was; rows above it get their true height only when they are laid out.
  restore() {
    const { first, top } = this.wanted;
    this.wanted = null;
    const row = first && this.body.querySelector(`.row[data-id="${CSS.escape(first)}"]`);
    if (row) for (let turn = 0; turn < 4; turn++) scrollBy(0, row.getBoundingClientRect().top - top);
    this.point(this.current);
  }

  show() {
    this.drawTotals();
    this.drawFilters();
    this.drawHead();
    this.body.replaceChildren(...this.rows.map((row, at) => this.rowOf(row, at)));
    if (!this.rows.length) this.body.append(this.emptyNote());
    this.point(this.current, false);
  }

  emptyNote() {
    const filtered = [...this.params.keys()].some((key) => key !== "sort" && key !== "dir");
    if (filtered) return h("p", { class: "empty" }, "No sample matches these filters. ", button("Clear them", () => this.clear(), { class: "link" }));
    return h("p", { class: "empty" }, this.run.index.complete ? "There are no samples here." : "The first samples appear as they are read.");
  }

  loadMore() {
    if (this.more) return this.more;
    if (!this.rows.length || this.rows.length >= this.count) return null;
    this.more = this.append(this.asked).finally(() => (this.more = null));
    return this.more;
  }

  async append(mine) {
    const page = await getList(this.params, this.rows.length).catch(() => null);
    if (!page || mine !== this.asked) return;
    const from = this.rows.length;
    this.rows.push(...page.rows);
    this.body.append(...page.rows.map((row, at) => this.rowOf(row, from + at)));
  }

  // On new data the rows are redrawn only while the reader is at the top.
  refresh(run) {
    this.run = run;
    if (scrollY < 300 && this.rows.length <= PAGE_ROWS && !document.querySelector(".ends input:focus")) this.load();
  }

  change(name, values) {
    this.params.delete(name);
    for (const value of values) this.params.append(name, value);
    this.current = -1;
    replaceRoute({ params: this.params });
    this.load();
  }

  search(text) {
    this.change("q", text.trim() ? [text] : []);
  }

  clear() {
    const kept = ["sort", "dir"].filter((name) => this.params.has(name)).map((name) => [name, this.params.get(name)]);
    this.params = new URLSearchParams(kept);
    replaceRoute({ params: this.params });
    const box = byId("search");
    if (box) box.value = "";
    this.load();
  }

  drawTotals() {
    const totals = this.page.totals;
    if (!totals) return this.totals.replaceChildren(figure(count(this.count), "samples"));
    const about = totals.estimated ? "≈ " : "";
    const mean = (name, unit) => about + measure(totals.means[name], unit);
    this.totals.replaceChildren(
      figure(count(totals.count), totals.count === totals.of ? "samples" : `of ${count(totals.of)} samples`),
      figure(mean("total_num_tokens"), "tokens, mean"),
      figure(mean("parallel_ratio", "%"), "parallel ratio"),
      figure(mean("acceleration_ratio", "%"), "acceleration ratio"),
      figure(totals.speedup ? `${about}${totals.speedup.toFixed(2)}×` : "–", "speedup"),
    );
    if (totals.cost) this.totals.append(figure(measure(totals.cost, "$"), callsLabel(this.run)));
    const note = [totals.kept && totals.kept < totals.count ? `Means of the ${count(totals.kept)} that were kept.` : "", this.measureNote(totals)].filter(Boolean).join(" ");
    if (!this.run.static) this.totals.append(h("a", { class: "to-statistics target-of", href: address({ view: "statistics", params: this.params }), title: "Distributions of this selection (s)" }, "Statistics →"));
    if (note) this.totals.append(h("p", { class: "note" }, note));
  }

  measureNote(totals) {
    const { name, estimate } = this.run.tokenizer;
    if (!totals.estimated) return name ? `Tokens of ${name}.` : "";
    const share = totals.estimated === totals.measured ? "Lengths" : `${count(totals.estimated)} of ${plural(totals.measured, "length")}`;
    return `${share} ${estimate}. Start with --tokenizer to count them.`;
  }

  drawHead() {
    const sort = this.params.get("sort") ?? "id";
    const options = [["id", "number"], ...this.run.measures.map((item) => [item.name, item.label]), ["outcome", "outcome"], ["answer", "answer"]];
    const chooser = h("select", { "aria-label": "Sort by", onchange: (event) => this.sortBy(event.target.value, event.target.value !== "id") }, options.map(([value, label]) => h("option", { value, selected: value === sort }, label)));
    const down = this.params.get("dir") === "desc";
    const turn = button(down ? "↓" : "↑", () => this.sortBy(sort, !down), { class: "turn", aria: down ? "Highest first" : "Lowest first", title: down ? "Highest first" : "Lowest first" });
    const columns = [["acceleration_ratio", "accel."], ["total_num_tokens", "tokens"], ["parallel_count", "blocks"], ["strongest_leak", "leak"]];
    this.head.replaceChildren(
      button("Filters", () => this.toggleFilters(), { class: "button narrow-only" }),
      h("span", { class: "sorting" }, "sorted by ", chooser, turn),
      h("span", { class: "headings" }, columns.map(([name, label]) => button(label, () => this.sortBy(name, sort === name ? !down : true), { class: sort === name ? "column sorted" : "column" }))),
      this.exportLink(),
    );
  }

  exportLink() {
    if (this.run.static || !this.count || this.count > this.run.export_limit) return h("span", { class: "export" });
    return h("a", { class: "export", href: exportAddress(this.params), download: "", title: "One self-contained page of these samples" }, "export");
  }

  sortBy(name, descending) {
    this.params.delete("dir");
    if (descending) this.params.set("dir", "desc");
    this.change("sort", name === "id" ? [] : [name]);
  }

  toggleFilters() {
    this.open = !this.open;
    this.filters.classList.toggle("open", this.open);
  }

  drawFilters() {
    const unfolded = this.filters.querySelector("details")?.open ?? false;
    const sections = [this.funnel(), ...this.run.facets.map((item) => this.facet(item)), ...this.measures(unfolded)];
    const active = [...this.params.keys()].some((key) => key !== "sort" && key !== "dir");
    this.filters.replaceChildren(...sections.filter(Boolean), active ? button("Clear all filters", () => this.clear(), { class: "button wide" }) : "");
    this.filters.classList.toggle("open", this.open);
  }

  funnel() {
    if (this.run.stages.length < 2) return null;
    const sums = this.run.stages.map(({ counts }) => Object.values(counts).reduce((sum, value) => sum + value, 0));
    const most = Math.max(1, ...sums);
    const lines = this.run.stages.map(({ stage, counts }, at) => {
      const lost = (counts.rejected ?? 0) + (counts.failed ?? 0);
      const bar = h("span", { class: "bar" });
      for (const [kind, number] of [["changed", counts.ok ?? 0], ["kept", counts.unchanged ?? 0], ["lost", lost]]) {
        const piece = h("i", { class: kind });
        piece.style.width = `${(100 * number) / most}%`;
        bar.append(piece);
      }
      return h("li", { title: Object.entries(counts).map(([name, value]) => `${value} ${name}`).join(", ") }, h("span", null, stage), bar, h("b", null, count(sums[at] - lost)));
    });
    return h("section", { class: "filter" }, h("h2", null, "Stages"), h("ul", { class: "funnel" }, lines));
  }

  facet({ name, title }) {
    const values = this.page.facets[name] ?? [];
    const chosen = this.params.getAll(name);
    if (values.length < 2 && !chosen.length) return null;
    const items = values.map(([value, number]) => {
      const box = h("input", { type: "checkbox", checked: chosen.includes(value), onchange: (event) => this.change(name, event.target.checked ? [...chosen, value] : chosen.filter((other) => other !== value)) });
      return h("li", null, h("label", { class: number ? "" : "none" }, box, h("span", { class: `dot ${name}-${value}` }), h("span", { class: "value" }, labelOf(name, value)), h("span", { class: "number" }, count(number))));
    });
    return h("section", { class: "filter" }, h("h2", null, title), h("ul", { class: "facet" }, items));
  }

  measures(unfolded) {
    const known = this.run.measures.filter(({ name }) => this.page.histograms[name]);
    if (!known.length) return [];
    const draw = (item) => histogram(item, this.page.histograms[item.name], this.rangeOf(item.name), (range) => this.change(item.name, range && (range[0] !== null || range[1] !== null) ? [`${range[0] ?? ""}..${range[1] ?? ""}`] : []));
    const main = known.filter(({ name }) => MAIN_MEASURES.includes(name) || this.params.has(name));
    const others = known.filter((item) => !main.includes(item));
    const folded = others.length ? [h("details", { open: unfolded }, h("summary", null, `${others.length} more measures`), others.map(draw))] : [];
    return [h("section", { class: "filter" }, h("h2", null, "Measures"), main.map(draw), folded)];
  }

  rangeOf(name) {
    const text = this.params.get(name);
    if (!text) return null;
    return text.split("..").map((bound) => (bound === "" ? null : Number(bound)));
  }

  rowOf(row, at) {
    const [tokens, , acceleration, , blocks] = row.values;
    const leak = row.values[this.run.measures.findIndex(({ name }) => name === "strongest_leak")];
    const about = row.estimated ? "≈" : "";
    const target = address({ view: "trajectory", id: row.id, params: this.params });
    const lost = row.outcome !== "ok" && row.outcome !== "unchanged";
    const later = row.labels.later?.find((value) => !value.startsWith("passed"));
    return h(
      "a",
      { class: "row", href: target, "data-at": at, "data-id": row.id },
      h("span", { class: "id" }, row.id),
      h("span", { class: "what" }, h("span", { class: "problem" }, row.problem ? inline(row.title) : h("em", null, row.uuid || "problem not available")), row.hit && h("span", { class: "hit-text" }, row.hit[0], h("mark", null, row.hit[1]), row.hit[2])),
      h("span", { class: "picture" }, miniPlan(row.shape)),
      h("span", { class: "num accel" }, acceleration ? about + measure(acceleration, "%") : "–"),
      h("span", { class: "num tokens" }, tokens === null ? "–" : about + count(tokens)),
      h("span", { class: "num blocks" }, blocks === null ? "–" : count(blocks)),
      h("span", { class: "num leak" }, leak === null ? "–" : leak ? leak.toFixed(2) : "0"),
      h("span", { class: "state" }, h("span", { class: `dot outcome-${row.outcome}`, title: labelOf("outcome", row.outcome) }), h("span", { class: "reason" }, lost ? (row.reason || labelOf("outcome", row.outcome)).replaceAll("_", " ") : later ? `later ${later}` : ""), answerMark(row.answer), reviewMark(row.review)),
    );
  }

  // The current row has the focus, so that both always name the same sample.
  point(at, scroll = true) {
    this.body.querySelector(".row.current")?.classList.remove("current");
    this.current = at;
    const row = this.body.children[at];
    if (at < 0 || !row?.classList.contains("row")) return;
    row.classList.add("current");
    const focused = document.activeElement;
    if (focused !== row && (focused === document.body || focused.matches(".row"))) row.focus({ preventScroll: true });
    if (scroll) row.scrollIntoView({ block: "nearest" });
  }

  async step(by) {
    if (this.current + by >= this.rows.length) await this.loadMore();
    this.point(Math.max(0, Math.min(this.rows.length - 1, this.current + by)));
  }

  // The mark is shown at once, on the row that is current now; the next key may come before the server has answered.
  review(verdict) {
    const row = this.rows[this.current];
    if (!row || this.run.static) return;
    const before = row.review;
    this.mark(row, before === verdict ? "" : verdict);
    putReview(row.id, { verdict: row.review }).catch((error) => {
      this.mark(row, before);
      toast(error.message);
    });
  }

  mark(row, review) {
    row.review = review;
    this.body.querySelector(`.row[data-id="${CSS.escape(row.id)}"] .review-mark`)?.replaceWith(reviewMark(review));
  }

  openRow(view) {
    const row = this.rows[this.current];
    if (row) go({ view, id: row.id, params: this.params });
  }

  keys() {
    return {
      j: () => this.step(1),
      ArrowDown: () => this.step(1),
      k: () => this.step(-1),
      ArrowUp: () => this.step(-1),
      Enter: () => this.openRow("trajectory"),
      s: () => this.run.static || go({ view: "statistics", params: this.params }),
      2: () => this.openRow("stages"),
      a: () => this.review("accept"),
      x: () => this.review("reject"),
    };
  }
}

// The stages whose calls the list adds up: those up to its own that are there.
function callsLabel(run) {
  const names = run.stages.map(({ stage }) => stage);
  const summed = names.slice(0, names.indexOf(run.kind) + 1 || undefined).filter((stage) => ["steps", "rewrite", "outlines", "referee"].includes(stage));
  const whole = ["steps", "rewrite", "outlines"].every((stage) => summed.includes(stage));
  return whole ? "calls, all stages" : `calls of ${summed.join(", ") || "this folder"}`;
}

function figure(value, label) {
  return h("div", { class: "figure" }, h("b", null, value), h("span", null, label));
}

export function labelOf(facet, value) {
  if (facet === "outcome") return OUTCOMES[value] ?? value;
  if (facet === "review") return { accept: "accepted", reject: "rejected", note: "note only", judged: "blocks judged", none: "not reviewed" }[value] ?? value;
  return value.replaceAll("_", " ");
}

export function answerMark(answer) {
  if (answer === "unknown") return h("span", { class: "answer" });
  return h("span", { class: `answer ${answer}`, title: `answer ${answer}` }, answer === "right" ? "✓" : "✗");
}

export function reviewMark(review) {
  return h("span", { class: review ? `review-mark ${review}` : "review-mark", title: review ? `reviewed: ${labelOf("review", review)}` : undefined }, { accept: "A", reject: "R", note: "N", judged: "J" }[review] ?? "");
}
