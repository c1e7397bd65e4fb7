// Several runs: a list of them, and two of them side by side: which samples differ, and how much.

import { h, button, count, measure, plural } from "./dom.js";
import { getComparison, getComparisonStatistics } from "./api.js";
import { address, go, replaceRoute } from "./state.js";
import { barChart, figureOf, rowsOf } from "./charts.js";
import { labelOf } from "./list.js";
import { miniPlan } from "./plan.js";
import { inline } from "./rows.js";

const SIDES = ["one", "two"];
const FIRST_MEASURE = "acceleration_ratio";
const FIGURES = [["total_num_tokens", "tokens, mean", ""], ["num_tokens_in_the_longest_thread", "critical path, mean", ""], ["acceleration_ratio", "acceleration ratio", "%"], ["parallel_ratio", "parallel ratio", "%"], ["parallel_count", "blocks, mean", ""]];

// The name of a run, with its folder where others have the same name.
export function runName(run, runs) {
  return runs.some((other) => other !== run && other.name === run.name) ? `${run.folder}/${run.name}` : run.name;
}

const passedOf = (run) => {
  const counts = run.stages.find(({ stage }) => stage === run.kind)?.counts;
  return counts ? (counts.ok ?? 0) + (counts.unchanged ?? 0) : null;
};

// The runs of this server: open one, or choose two to compare.
export class RunsView {
  constructor(container, run) {
    this.run = run;
    this.container = container;
    this.chosen = [];
    this.settled = true;
    if (run.runs.length === 2) this.chosen = [0, 1];
    this.draw();
  }

  destroy() {}

  draw() {
    const { runs } = this.run;
    const box = (number) => h("input", { type: "checkbox", checked: this.chosen.includes(number), "aria-label": `Compare ${runName(runs[number], runs)}`, onchange: () => this.choose(number) });
    const items = runs.map((item) => {
      const passed = passedOf(item);
      const settings = Object.entries(item.settings).map(([name, value]) => h("span", { class: "setting" }, `${name.replaceAll("_", " ")} `, h("b", null, value)));
      return h("li", { class: "run" }, h("label", null, box(item.number)), h("div", null, h("a", { class: "name target-of", href: `/run/${item.number}/` }, runName(item, runs)), h("p", { class: "soft" }, item.kind === "dataset" ? "dataset" : passed === null ? item.kind : `${count(passed)} passed ${item.kind}`), settings.length ? h("p", { class: "settings" }, settings) : null));
    });
    const [one, two] = this.chosen;
    const compare = this.chosen.length === 2 ? h("a", { class: "button go", href: address({ view: "compare", runs: [one, two] }) }, "Compare the two") : h("span", { class: "soft" }, "Choose two to compare them.");
    this.container.replaceChildren(h("article", { class: "runs" }, h("div", { class: "title" }, h("h1", null, "Runs"), compare), h("p", { class: "soft" }, "Shown of the settings is what is not the same in all."), h("ul", null, items)));
  }

  // The last two that were chosen count.
  choose(number) {
    this.chosen = this.chosen.includes(number) ? this.chosen.filter((other) => other !== number) : [...this.chosen, number].slice(-2);
    this.chosen.sort((one, two) => one - two);
    this.draw();
    this.container.querySelectorAll(".run input")[number].focus();
  }

  search() {}

  keys() {
    return { c: () => this.chosen.length === 2 && go({ view: "compare", runs: this.chosen }) };
  }
}

export class CompareView {
  constructor(container, run, route) {
    this.run = run;
    this.route = route;
    this.params = new URLSearchParams(route.params);
    this.runs = route.runs.map((number) => run.runs[number]);
    this.asked = 0;
    if (this.runs.some((item) => !item)) {
      this.settled = true;
      container.replaceChildren(h("p", { class: "empty" }, "There are no such two runs. ", h("a", { href: "#/" }, "All runs")));
      return;
    }
    this.names = { one: runName(this.runs[0], run.runs), two: runName(this.runs[1], run.runs) };
    this.head = h("header", { class: "compare-head" });
    this.filters = h("aside", { class: "filters open", "aria-label": "Filters" });
    this.figures = h("section", { class: "numbers", "aria-label": "Figures of both" });
    this.body = h("div", { class: "list-of-pairs" });
    this.bar = h("div", { class: "pairs-head" });
    this.charts = h("section", { class: "charts", "aria-label": "Distributions of both" });
    this.end = h("div", { class: "end" });
    container.replaceChildren(h("div", { class: "list-view compare" }, this.filters, h("div", { class: "list" }, this.head, this.figures, this.bar, this.body, this.charts, this.end)));
    this.watcher = new IntersectionObserver((entries) => entries[0].isIntersecting && this.loadMore(), { rootMargin: "900px" });
    this.watcher.observe(this.end);
    this.ready = this.load();
  }

  destroy() {
    this.asked += 1;
    this.watcher?.disconnect();
  }

  get measure() {
    return this.run.measures.find(({ name }) => name === this.params.get("measure")) ?? this.run.measures.find(({ name }) => name === FIRST_MEASURE);
  }

  get inCharts() {
    return this.params.get("show") === "charts";
  }

  async load() {
    this.settled = false;
    const mine = ++this.asked;
    try {
      const page = await getComparison(this.route.runs, this.params);
      if (mine !== this.asked) return;
      this.page = page;
      this.rows = page.rows;
      this.drawHead();
      this.drawFigures();
      this.drawFilters();
      this.drawBar();
      this.body.replaceChildren(...(this.inCharts ? [] : this.rows.map((row) => this.rowOf(row))));
      this.charts.replaceChildren();
      if (!page.count) this.body.replaceChildren(h("p", { class: "empty" }, "No pair of samples matches these filters. ", button("Clear them", () => this.clear(), { class: "link" })));
      if (this.inCharts) await this.drawCharts(mine);
    } catch (error) {
      if (mine === this.asked) this.body.replaceChildren(h("p", { class: "empty" }, error.message));
    }
    if (mine === this.asked) this.settled = true;
  }

  async loadMore() {
    if (this.inCharts || this.more || !this.rows?.length || this.rows.length >= this.page.count) return;
    const mine = this.asked;
    this.more = true;
    const page = await getComparison(this.route.runs, this.params, this.rows.length).catch(() => null);
    this.more = false;
    if (!page || mine !== this.asked) return;
    this.rows.push(...page.rows);
    this.body.append(...page.rows.map((row) => this.rowOf(row)));
  }

  refresh(run) {
    this.run = run;
    if (scrollY < 300) this.ready = this.load();
  }

  search(text) {
    this.change({ q: text.trim() ? [text] : [] });
  }

  change(values) {
    for (const [name, list] of Object.entries(values)) {
      this.params.delete(name);
      for (const value of list) this.params.append(name, value);
    }
    replaceRoute({ view: "compare", runs: this.route.runs, params: this.params });
    this.ready = this.load();
  }

  clear() {
    this.change(Object.fromEntries(["where", "outcomes", "change", "reviews", "q"].map((name) => [name, []])));
  }

  drawHead() {
    const link = (side, at) => h("a", { class: `side target-of ${side}`, href: `/run/${this.route.runs[at]}/` }, h("i", { class: "swatch-of" }), this.names[side]);
    const [one, two] = this.runs;
    const names = Object.keys({ ...one.settings, ...two.settings }).filter((name) => one.settings[name] !== two.settings[name]);
    const differing = names.map((name) => h("tr", null, h("th", { scope: "row" }, name.replaceAll("_", " ")), h("td", null, one.settings[name] ?? "–"), h("td", null, two.settings[name] ?? "–")));
    this.head.replaceChildren(
      h("div", { class: "crumbs" }, h("a", { href: "#/" }, "← Runs"), " ", h("a", { href: address({ view: "compare", runs: [...this.route.runs].reverse(), params: this.params }) }, "swap")),
      h("h1", null, link("one", 0), " and ", link("two", 1)),
      differing.length ? h("details", { open: differing.length < 9 }, h("summary", null, `${plural(differing.length, "difference")} in the settings`), h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Settings that differ" }, h("table", { class: "settings" }, differing))) : h("p", { class: "soft" }, "All settings that they keep are the same."),
    );
  }

  drawFigures() {
    const { one, two } = this.page.figures;
    const line = (label, values, unit, show = (value) => measure(value, unit)) => {
      const [first, second] = values;
      const known = first !== null && second !== null && first !== undefined && second !== undefined;
      return h("tr", null, h("th", { scope: "row" }, label), h("td", null, show(first)), h("td", null, show(second)), h("td", { class: "difference" }, known ? signed(second - first, unit, show) : ""));
    };
    const lines = [
      line("samples", [one.count, two.count], "", count),
      line("kept: the figures below are of these", [one.kept, two.kept], "", count),
      ...FIGURES.map(([name, label, unit]) => line(label, [one.means[name], two.means[name]], unit)),
      line("speedup", [one.speedup, two.speedup], "", (value) => (value === null ? "–" : `${value.toFixed(2)}×`)),
      line("cost of the calls", [one.cost, two.cost], "$"),
    ];
    const heads = SIDES.map((side) => h("th", { scope: "col", class: side }, h("i", { class: "swatch-of" }), this.names[side]));
    this.figures.replaceChildren(h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Figures" }, h("table", null, h("thead", null, h("tr", null, h("td", null), heads, h("th", { scope: "col" }, "difference"))), h("tbody", null, lines))), one.estimated || two.estimated ? h("p", { class: "soft" }, "Some lengths are estimates: start with --tokenizer to count them.") : "");
  }

  drawFilters() {
    const titles = { where: "Samples", outcomes: "Outcome", change: `Change of ${this.measure.label}`, reviews: "Review" };
    const sections = Object.entries(titles).map(([name, title]) => {
      const values = this.page.facets[name] ?? [];
      const chosen = this.params.getAll(name);
      if (values.length < 2 && !chosen.length) return null;
      const items = values.map(([value, number]) => h("li", null, h("label", { class: number ? "" : "none" }, h("input", { type: "checkbox", checked: chosen.includes(value), onchange: (event) => this.change({ [name]: event.target.checked ? [...chosen, value] : chosen.filter((other) => other !== value) }) }), h("span", { class: "value", title: this.valueOf(name, value) }, this.valueOf(name, value)), h("span", { class: "number" }, count(number)))));
      return h("section", { class: "filter" }, h("h2", null, title), h("ul", { class: "facet" }, items));
    });
    this.filters.replaceChildren(...sections.filter(Boolean));
  }

  valueOf(facet, value) {
    if (facet === "where") return { both: "in both", one: `only in ${this.names.one}`, two: `only in ${this.names.two}` }[value] ?? value;
    if (facet === "change") return { higher: `higher in ${this.names.two}`, lower: `lower in ${this.names.two}`, same: "the same" }[value] ?? value;
    const kind = facet === "reviews" ? "review" : "outcome";
    return value.split(" → ").map((part) => labelOf(kind, part)).join(" → ");
  }

  drawBar() {
    const sort = `${this.params.get("sort") ?? "id"} ${this.params.get("dir") ?? "asc"}`;
    const orders = [["id asc", "number"], ["size desc", "largest difference"], ["change desc", `most above in ${this.names.two}`], ["change asc", `most below in ${this.names.two}`]];
    const sorted = (value) => {
      const [name, way] = value.split(" ");
      this.change({ sort: name === "id" ? [] : [name], dir: way === "desc" ? ["desc"] : [] });
    };
    const choose = (label, options, current, onchange) => h("label", null, `${label} `, h("select", { onchange: (event) => onchange(event.target.value) }, options.map(([value, text]) => h("option", { value, selected: value === current }, text))));
    const tab = (name, label) => button(label, () => this.change({ show: name ? [name] : [] }), { class: this.inCharts === Boolean(name) ? "tab here" : "tab", pressed: String(this.inCharts === Boolean(name)) });
    this.bar.replaceChildren(
      h("nav", { class: "tabs", "aria-label": "What is shown" }, tab("", plural(this.page.count, "pair")), tab("charts", "Distributions")),
      ...(this.inCharts ? [h("span", { class: "soft" }, "Shares of the samples that count in each; lines are means.")] : [choose("measure", this.run.measures.map(({ name, label }) => [name, label]), this.measure.name, (value) => this.change({ measure: [value] })), choose("sorted by", orders, sort, sorted)]),
    );
  }

  rowOf(row) {
    const { name, unit } = this.measure;
    const at = this.run.measures.findIndex((item) => item.name === name);
    const ids = { a: row.one?.id ?? "", b: row.two?.id ?? "" };
    const params = new URLSearchParams([...this.params, ...Object.entries(ids)]);
    const side = (item, which) =>
      item
        ? h("span", { class: `of-side ${which}` }, miniPlan(item.shape), h("span", { class: `dot outcome-${item.outcome}`, title: `${this.names[which]}: ${labelOf("outcome", item.outcome)}${item.reason ? `, ${item.reason.replaceAll("_", " ")}` : ""}` }), h("span", { class: "num" }, measure(item.values[at], unit)))
        : h("span", { class: `of-side ${which} missing` }, `not in ${this.names[which]}`);
    const outcomes = row.one && row.two && row.one.outcome !== row.two.outcome ? `${labelOf("outcome", row.one.outcome)} → ${labelOf("outcome", row.two.outcome)}` : "";
    return h("a", { class: "pair", href: address({ view: "pair", runs: this.route.runs, params }) }, h("span", { class: "id" }, row.one?.id ?? row.two.id), h("span", { class: "what" }, h("span", { class: "problem" }, row.title.length ? inline(row.title) : h("em", null, row.uuid || "problem not available")), outcomes && h("span", { class: "soft" }, outcomes)), h("span", { class: "sides" }, side(row.one, "one"), side(row.two, "two")), h("span", { class: "num difference" }, row.change === null ? "" : signed(row.change, unit)));
  }

  async drawCharts(mine) {
    const { measures } = await getComparisonStatistics(this.route.runs, this.params);
    if (mine !== this.asked) return;
    this.charts.replaceChildren(
      ...measures.map((item) => {
        const series = SIDES.map((side) => ({ name: this.names[side], counts: item.counts[side], kind: side }));
        const marks = SIDES.map((side) => ({ value: item.means[side], kind: side, name: `mean of ${this.names[side]}` }));
        const data = { ...item, all: item.counts.one.map((number, at) => number + item.counts.two[at]) };
        const caption = [h("b", null, item.label), h("span", { class: "soft" }, SIDES.map((side) => h("span", { class: `mean-of ${side}` }, h("i", { class: "swatch-of" }), measure(item.means[side], item.unit))))];
        return figureOf(item.name, caption, barChart({ label: item.label, unit: item.unit, data, series, marks, share: true }), rowsOf(item, series));
      }),
    );
  }

  step(by) {
    const links = [...this.body.querySelectorAll(".pair")];
    const at = links.indexOf(document.activeElement);
    links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }

  keys() {
    return { j: () => this.step(1), ArrowDown: () => this.step(1), k: () => this.step(-1), ArrowUp: () => this.step(-1), Escape: () => go({}), u: () => go({}) };
  }
}

// A difference with its sign; that of two shares is in percentage points.
function signed(value, unit, show = (number) => measure(number, unit)) {
  if (show(Math.abs(value)) === show(0)) return "0";
  if (unit === "%") return `${value > 0 ? "+" : "−"}${(100 * Math.abs(value)).toFixed(1)} points`;
  return `${value > 0 ? "+" : "−"}${show(Math.abs(value))}`;
}
