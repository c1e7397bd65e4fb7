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
    area.value = note;
    this.element.replaceChildren(
      h("div", { class: "choices" }, choice("accept", "Accept", "a"), choice("reject", "Reject", "x"), button(h("span", null, note ? "Note ·" : "Note", h("kbd", null, "n")), () => this.note(), { class: "choice", title: note || "Note (n)", pressed: String(Boolean(note)) })),
      area,
    );
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

  async save(change) {
    if (this.readOnly) return;
    const wanted = { ...this.kept, ...change };
    if (wanted.verdict === this.kept.verdict && wanted.note.trim() === this.kept.note) {
      if (!this.noting) this.draw();
      return;
    }
    try {
      this.kept = await putReview(this.id, wanted);
    } catch (error) {
      toast(error.message);
    }
    if (!this.element.contains(document.activeElement) || document.activeElement.tagName !== "TEXTAREA") this.draw();
  }
}
