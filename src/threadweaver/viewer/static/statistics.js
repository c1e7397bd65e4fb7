// The statistics of a selection: by sample, block and thread, with points that can be selected.

import { h, button, count, measure, plural } from "./dom.js";
import { getPoints, getStatistics, tableAddress } from "./api.js";
import { address, filtersOf, go, replaceRoute } from "./state.js";
import { barChart, figureOf, rowsOf, scatterChart } from "./charts.js";
import { labelOf } from "./list.js";

const UNITS = { sample: "samples", block: "blocks", thread: "threads" };
const AXES = { x: "total_num_tokens", y: "acceleration_ratio" };

export class StatisticsView {
  constructor(container, run, route) {
    this.run = run;
    this.params = new URLSearchParams(route.params);
    this.asked = 0;
    this.head = h("header", { class: "statistics-head" });
    this.scatter = h("section", { class: "scatter-of", "aria-label": "Two measures" });
    this.charts = h("section", { class: "charts", "aria-label": "Distributions" });
    this.table = h("section", { class: "numbers", "aria-label": "Numbers" });
    container.replaceChildren(h("article", { class: "statistics" }, this.head, this.scatter, this.charts, this.table));
    this.ready = this.load();
  }

  destroy() {
    this.asked += 1;
  }

  get by() {
    return UNITS[this.params.get("by")] ? this.params.get("by") : "sample";
  }

  axis(name) {
    const wanted = this.params.get(name);
    return this.run.measures.find((item) => item.name === wanted) ?? this.run.measures.find((item) => item.name === AXES[name]);
  }

  async load() {
    this.settled = false;
    const mine = ++this.asked;
    const [x, y] = [this.axis("x"), this.axis("y")];
    try {
      const [answer, points] = await Promise.all([getStatistics(this.params, this.by), this.by === "sample" ? getPoints(this.params, x.name, y.name) : null]);
      if (mine !== this.asked) return;
      this.answer = answer;
      this.drawHead();
      this.drawScatter(points, x, y);
      this.charts.replaceChildren(...(answer.measures.length ? answer.measures.map((item) => this.chart(item)) : [h("p", { class: "empty" }, "Nothing in this selection has measures.")]));
      this.drawTable();
    } catch (error) {
      if (mine === this.asked) this.charts.replaceChildren(h("p", { class: "empty" }, error.message));
    }
    this.settled = true;
  }

  refresh(run) {
    this.run = run;
    this.load();
  }

  search(text) {
    this.change({ q: text.trim() ? [text] : [] });
  }

  // Sets parameters of the address to lists of values, and shows what they select.
  change(values) {
    for (const [name, list] of Object.entries(values)) {
      this.params.delete(name);
      for (const value of list) this.params.append(name, value);
    }
    replaceRoute({ view: "statistics", params: this.params });
    this.ready = this.load();
  }

  drawHead() {
    const { totals, count: number } = this.answer;
    const filters = filtersOf(this.params);
    const tab = (by) => button(`By ${by}`, () => this.change({ by: by === "sample" ? [] : [by] }), { class: this.by === by ? "tab here" : "tab", pressed: String(this.by === by) });
    const kept = totals.kept && totals.kept < totals.count ? `, of which the ${count(totals.kept)} that were kept count` : "";
    this.head.replaceChildren(
      h("div", { class: "crumbs" }, h("a", { href: address({ params: filters }) }, `← List of the ${plural(totals.count, "sample")}`)),
      h("div", { class: "title" }, h("h1", null, "Statistics"), h("nav", { class: "tabs", "aria-label": "What is counted" }, Object.keys(UNITS).map(tab))),
      h(
        "p",
        { class: "soft" },
        `${count(number)} ${UNITS[this.by]}: ${totals.count === totals.of ? "all" : count(totals.count)} of ${plural(totals.of, "sample")}${kept}. `,
        totals.speedup ? `Speedup ${totals.estimated ? "≈ " : ""}${totals.speedup.toFixed(2)}×, published ${this.answer.published_speedup}×. ` : "",
        this.by === "sample" ? "" : "Their tokens are shares of the sample’s by characters.",
      ),
      h("a", { class: "target-of", href: tableAddress(this.params, this.by), download: "" }, `All ${UNITS[this.by]} as CSV`),
      this.chips(filters),
    );
  }

  chips(filters) {
    const active = [...filters].filter(([name]) => name !== "sort" && name !== "dir");
    const text = (name, value) => {
      const known = this.run.measures.find((item) => item.name === name);
      if (!known) return name === "q" ? `“${value}”` : `${name}: ${labelOf(name, value)}`;
      return `${known.label} ${value.split("..").map((end) => (end === "" ? "…" : measure(Number(end), known.unit))).join(" – ")}`;
    };
    return h("ul", { class: "chips", "aria-label": "Filters" }, active.map(([name, value]) => h("li", null, button(`${text(name, value)} ×`, () => this.change({ [name]: filters.getAll(name).filter((other) => other !== value) }), { class: "chip", title: "Remove this filter" }))));
  }

  drawScatter(answer, x, y) {
    if (!answer) return this.scatter.replaceChildren();
    const range = (name) => {
      const text = this.params.get(name);
      return text ? text.split("..").map((end) => (end === "" ? null : Number(end))) : null;
    };
    const chooser = (name, current) => h("select", { "aria-label": name === "x" ? "Across" : "Upwards", onchange: (event) => this.change({ [name]: [event.target.value] }) }, this.run.measures.map((item) => h("option", { value: item.name, selected: item.name === current.name }, item.label)));
    const choose = (one, two) => this.change({ [x.name]: one ? [one.join("..")] : [], [y.name]: two ? [two.join("..")] : [] });
    const chart = scatterChart({ x, y, points: answer.points, ranges: { x: range(x.name), y: range(y.name) }, choose, open: (id) => go({ view: "trajectory", id, params: filtersOf(this.params) }) });
    const caption = [h("span", null, chooser("y", y), " against ", chooser("x", x)), h("span", { class: "soft" }, answer.points.length < answer.count ? `${count(answer.points.length)} of ${count(answer.count)} samples drawn. ` : `${plural(answer.count, "sample")}. `, "Drag to select, click a point to open it.")];
    this.scatter.replaceChildren(figureOf(`${y.name}-${x.name}`, caption, chart, [["id", x.name, y.name, "outcome"], ...answer.points]));
  }

  chart(item) {
    const series = [{ name: "", counts: item.chosen, kind: "chosen" }];
    if (item.all.some((number, at) => number !== item.chosen[at])) series.unshift({ name: "without filters", counts: item.all, kind: "all" });
    const marks = [{ value: item.mean, kind: "mean", name: "mean" }, { value: item.published, kind: "published", name: "published mean" }];
    const caption = [h("b", null, item.label), h("span", { class: "soft" }, `mean ${measure(item.mean, item.unit)}`, item.published === null ? "" : `, published ${measure(item.published, item.unit)}`)];
    return figureOf(item.name, caption, barChart({ ...item, data: item, series, marks, of: UNITS[this.by] }), rowsOf(item, series));
  }

  drawTable() {
    const columns = ["mean", "min", "max", "std", "published"];
    const rows = this.answer.measures.map((item) => h("tr", null, h("th", { scope: "row" }, item.label), columns.map((name) => h("td", null, item[name] === null ? "" : measure(item[name], item.unit)))));
    this.table.replaceChildren(...(rows.length ? [h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Numbers of all measures" }, h("table", null, h("thead", null, h("tr", null, h("td", null), columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, rows)))] : []));
  }

  keys() {
    const unit = (by) => () => this.change({ by: by === "sample" ? [] : [by] });
    const back = () => go({ params: filtersOf(this.params) });
    return { 1: unit("sample"), 2: unit("block"), 3: unit("thread"), Escape: back, u: back };
  }
}
