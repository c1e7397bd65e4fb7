// Accept, reject, note: the reader's own verdict, which the server keeps in one file. Undone with one key; after a verdict
// the next sample that has none opens by itself.

import { h, button, toast } from "./dom.js";
import { putReview } from "./api.js";
import { go, prefer, preference } from "./state.js";

// What was changed since the page was opened, the last change last: { id, before }.
const changed = [];

export class ReviewBox {
  // `advance` opens the next sample; `redraw` is called when an undone change was one of this sample.
  constructor(sample, run, { advance = () => {}, redraw = () => {} } = {}) {
    this.id = sample.id;
    this.kept = { verdict: "", note: "", judged: {}, ...sample.review };
    this.readOnly = run.static;
    this.file = run.review;
    this.advance = advance;
    this.redraw = redraw;
    this.element = h("div", { class: "review", role: "group", "aria-label": "Review" });
    this.noting = false;
    this.draw();
  }

  draw() {
    const { verdict, note } = this.kept;
    if (this.readOnly) {
      this.element.replaceChildren(verdict ? h("span", { class: `chip ${verdict}` }, `review: ${verdict}ed`) : "", note ? h("p", { class: "kept-note" }, note) : "");
      return;
    }
    const choice = (name, label, key) => button(h("span", null, label, h("kbd", null, key)), () => this.decide(name), { class: `choice ${name}`, pressed: String(verdict === name), title: `${label} (${key})` });
    const area = h("textarea", { class: "note", rows: 3, maxlength: 10000, placeholder: `A note, kept in ${this.file}`, "aria-label": "Note", hidden: !this.noting, onkeydown: (event) => this.noteKey(event), onblur: (event) => this.save({ note: event.target.value }) });
    area.value = this.element.querySelector("textarea")?.value ?? note;
    const focused = [...this.element.querySelectorAll("button")].indexOf(document.activeElement);
    this.element.replaceChildren(
      h(
        "div",
        { class: "choices" },
        choice("accept", "Accept", "a"),
        choice("reject", "Reject", "x"),
        button(h("span", null, note ? "Note ·" : "Note", h("kbd", null, "n")), () => this.note(), { class: "choice", title: note || "Note (n)", pressed: String(Boolean(note)) }),
        button(h("span", null, "Undo", h("kbd", null, "z")), () => this.undo(), { class: "choice undo", title: "Take the last change back (z)" }),
        button(h("span", null, "then next"), () => this.toggleAdvance(), { class: "choice", pressed: String(preference("advance")), title: "After a verdict, open the next sample that has none" }),
      ),
      area,
    );
    this.element.querySelectorAll("button")[focused]?.focus();
  }

  toggleAdvance() {
    prefer("advance", !preference("advance"));
    this.draw();
  }

  decide(verdict) {
    const wanted = this.kept.verdict === verdict ? "" : verdict;
    this.save({ verdict: wanted });
    if (wanted && preference("advance") && !this.readOnly) this.advance();
  }

  note() {
    if (this.readOnly) return;
    this.noting = !this.noting;
    this.draw();
    if (this.noting) this.element.querySelector("textarea").focus();
  }

  noteKey(event) {
    if (event.key !== "Escape" && !(event.key === "Enter" && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    event.stopPropagation();
    this.noting = false;
    event.target.blur();
  }

  // `place` is a block or a thread of one, such as "2" or "2.1"; an empty answer withdraws one.
  judge(place, question, answer) {
    this.save({ judged: { [place]: { [question]: answer } } });
  }

  // Takes back the last change of this visit, also one of another sample, which then opens.
  async undo() {
    const last = changed.pop();
    if (!last) return toast("nothing to undo");
    if (last.id !== this.id) {
      await putReview(last.id, last.before).catch((error) => toast(error.message));
      return go({ view: "trajectory", id: last.id, params: new URLSearchParams(location.hash.split("?")[1] ?? "") });
    }
    this.kept = apply(this.kept, last.before);
    this.draw();
    this.redraw();
    await putReview(this.id, last.before).catch((error) => toast(error.message));
  }

  // Shows the decision at once: the next key may come before the server has answered.
  async save(change) {
    if (this.readOnly) return;
    const before = this.kept;
    const wanted = apply(before, change);
    if (JSON.stringify(wanted) === JSON.stringify(before)) {
      if (document.activeElement?.tagName !== "TEXTAREA") this.draw();
      return;
    }
    this.kept = wanted;
    const undo = { id: this.id, before: reverse(before, change) };
    changed.push(undo);
    if (document.activeElement?.tagName !== "TEXTAREA") this.draw();
    try {
      await putReview(this.id, change);
    } catch (error) {
      changed.splice(changed.indexOf(undo), 1);
      this.kept = before;
      this.draw();
      this.redraw();
      toast(error.message);
    }
  }
}

function apply(review, change) {
  const judged = { ...review.judged };
  for (const [place, answers] of Object.entries(change.judged ?? {})) {
    const left = Object.entries({ ...judged[place], ...answers }).filter(([, answer]) => answer);
    if (left.length) judged[place] = Object.fromEntries(left);
    else delete judged[place];
  }
  return { verdict: change.verdict ?? review.verdict, note: (change.note ?? review.note).trim(), judged };
}

// The change that takes another one back.
function reverse(review, change) {
  const back = {};
  if (change.verdict !== undefined) back.verdict = review.verdict;
  if (change.note !== undefined) back.note = review.note;
  for (const [place, answers] of Object.entries(change.judged ?? {})) {
    back.judged ??= {};
    back.judged[place] = Object.fromEntries(Object.keys(answers).map((question) => [question, review.judged[place]?.[question] ?? ""]));
  }
  return back;
}
