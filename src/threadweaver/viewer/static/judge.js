// Five questions about each block, three of them about each thread, answered by key or click while the text is read.

import { h, button } from "./dom.js";
import { preference } from "./state.js";

export const QUESTIONS = {
  independent: { key: "i", answers: ["yes", "no"], threads: true, title: "Can it be written without its siblings?" },
  wording: { key: "w", answers: ["yes", "no"], threads: true, title: "Is it free of words that point at a sibling?" },
  sensible: { key: "q", answers: ["yes", "no"], threads: false, title: "Is this a sensible place to branch?" },
  worth: { key: "h", answers: ["high", "some", "none"], threads: false, title: "What is the work worth that runs in parallel?" },
  outline: { key: "o", answers: ["good", "tells", "void", "depends"], threads: true, title: "The outline: good, tells a result, says nothing, depends on a sibling" },
};

export class Judging {
  // `view` has `container` and `review`; `done` is called when all questions about a block are answered.
  constructor(view, done) {
    this.view = view;
    this.done = done;
    this.places = view.sample.parts.filter((part) => part.kind === "block").flatMap((part) => [String(part.number), ...part.threads.map((thread) => `${part.number}.${thread.k}`)]);
    this.at = this.places[0] ?? null;
    this.draw();
  }

  get on() {
    return preference("judging") && this.places.length > 0 && !this.view.run.static;
  }

  elementOf(place) {
    const [block, thread] = place.split(".");
    const box = this.view.container.querySelector(`#block-${block}`);
    return thread ? box?.querySelector(`[data-thread="${thread}"]`) : box;
  }

  draw() {
    for (const place of this.places) {
      const element = this.elementOf(place);
      if (!element) continue;
      let box = element.querySelector(":scope > header .judge");
      if (!box) element.querySelector(":scope > header").append((box = h("div", { class: "judge", role: "group" })));
      box.hidden = !this.on;
      if (this.on) box.replaceChildren(...this.questions(place));
      element.classList.toggle("judged-now", this.on && place === this.at);
    }
  }

  questions(place) {
    const answers = this.view.review.kept.judged[place] ?? {};
    const asked = Object.entries(QUESTIONS).filter(([, question]) => question.threads || !place.includes("."));
    return asked.map(([name, { key, answers: possible, title }]) =>
      h(
        "span",
        { class: "asked", role: "group", "aria-label": `${name}, ${place.includes(".") ? "thread" : "block"} ${place}`, title: `${title} (${key})` },
        h("span", { class: "name" }, name, place === this.at ? h("kbd", null, key) : null),
        possible.map((answer) => button(answer, () => this.answer(place, name, answers[name] === answer ? "" : answer), { class: `answer-${answer}`, pressed: String(answers[name] === answer) })),
      ),
    );
  }

  answer(place, question, answer) {
    this.at = place;
    this.view.review.judge(place, question, answer);
    this.draw();
    if (!place.includes(".") && Object.keys(this.view.review.kept.judged[place] ?? {}).length === Object.keys(QUESTIONS).length) this.done(place);
  }

  // A key goes through the answers of its question: the first, the second, …, none.
  next(question) {
    if (!this.on || (this.at.includes(".") && !QUESTIONS[question].threads)) return;
    const known = ["", ...QUESTIONS[question].answers];
    const given = this.view.review.kept.judged[this.at]?.[question] ?? "";
    this.answer(this.at, question, known[(known.indexOf(given) + 1) % known.length]);
  }

  // To a block, or to the next or previous place of all.
  goTo(place) {
    if (!this.places.includes(place)) return;
    this.at = place;
    this.draw();
    this.elementOf(place)?.scrollIntoView({ block: place.includes(".") ? "nearest" : "start" });
  }

  step(by) {
    if (this.on) this.goTo(this.places[this.places.indexOf(this.at) + by]);
  }

  keys() {
    if (!this.on) return {};
    const answers = Object.entries(QUESTIONS).map(([name, { key }]) => [key, () => this.next(name)]);
    return { ...Object.fromEntries(answers), "}": () => this.step(1), "{": () => this.step(-1) };
  }
}
