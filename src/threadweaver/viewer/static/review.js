// Accept, reject, note: the reader's own verdict, which the server keeps in one file.

import { h, button, toast } from "./dom.js";
import { putReview } from "./api.js";

export class ReviewBox {
  constructor(sample, run) {
    this.id = sample.id;
    this.kept = sample.review ?? { verdict: "", note: "" };
    this.readOnly = run.static;
    this.file = run.review;
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
      h("div", { class: "choices" }, choice("accept", "Accept", "a"), choice("reject", "Reject", "x"), button(h("span", null, note ? "Note ·" : "Note", h("kbd", null, "n")), () => this.note(), { class: "choice", title: note || "Note (n)", pressed: String(Boolean(note)) })),
      area,
    );
    this.element.querySelectorAll("button")[focused]?.focus();
  }

  decide(verdict) {
    this.save({ verdict: this.kept.verdict === verdict ? "" : verdict });
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

  // Shows the decision at once: the next key may come before the server has answered.
  async save(change) {
    if (this.readOnly) return;
    const before = this.kept;
    const wanted = { ...before, ...change };
    const same = wanted.verdict === before.verdict && wanted.note.trim() === before.note;
    this.kept = same ? before : { ...wanted, note: wanted.note.trim() };
    if (document.activeElement?.tagName !== "TEXTAREA") this.draw();
    if (same) return;
    try {
      await putReview(this.id, change);
    } catch (error) {
      this.kept = before;
      this.draw();
      toast(error.message);
    }
  }
}
