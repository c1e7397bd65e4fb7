// What the views of one sample share: it is loaded with its neighbours and drawn, and its place among them is shown.

import { h, count } from "./dom.js";
import { getNeighbours } from "./api.js";
import { address } from "./state.js";
import { clearMarks, markWords } from "./find.js";

export class SampleView {
  constructor(container, run, route) {
    Object.assign(this, { container, run, route, neighbours: {} });
    this.ready = this.load();
  }

  destroy() {
    clearMarks();
    this.gone = true;
  }

  async load() {
    const around = getNeighbours(this.route.id, this.route.params).catch(() => ({}));
    try {
      await this.fetch();
    } catch (error) {
      if (!this.gone) this.container.replaceChildren(h("p", { class: "empty" }, error.message, " ", h("a", { href: address({ params: this.route.params }) }, "Back to the list")));
      return;
    }
    if (this.gone) return;
    this.draw();
    this.drawn();
    this.neighbours = await around;
    this.settled = true;
    if (!this.gone) this.showPlace();
  }

  drawn() {}

  showPlace() {
    showPlace(this.place, this.neighbours, this.route);
  }

  find(text) {
    markWords(this.container, text);
  }
}

function showPlace(place, neighbours, route) {
  const link = (id, label, key) => (id ? h("a", { href: address({ ...route, id, block: null, thread: null }), title: `${label} (${key})` }, label) : h("span", { class: "off" }, label));
  place.replaceChildren(
    link(neighbours.previous, "‹ previous", "k"),
    neighbours.reviewed ? progress(neighbours) : "",
    h("span", null, neighbours.place ? `${count(neighbours.place)} of ${count(neighbours.count)}` : "not in the selection"),
    link(neighbours.next, "next ›", "j"),
  );
}

function progress({ reviewed, count: all }) {
  const bar = h("i");
  bar.style.setProperty("--done", reviewed / all);
  return h("span", { class: "progress" }, bar, `${count(reviewed)} of ${count(all)} reviewed`);
}
