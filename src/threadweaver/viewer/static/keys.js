// The keyboard: handling keys, and the card that lists them.

import { h, button, byId } from "./dom.js";

const CARD = [
  ["Everywhere", [["/", "search"], ["d", "light or dark"], ["?", "this card"]]],
  ["List", [["j k", "next, previous"], ["Enter", "open"], ["2", "open its stages"], ["s", "statistics"], ["a x", "accept, reject"]]],
  ["Sample", [["j k", "next, previous sample"], ["] [", "next, previous block"], ["1 2 3", "trajectory, stages, raw text"], ["n N", "next, previous hit of the search"], ["a x n z", "accept, reject, note, undo"], ["v", "judge blocks: } { i w q h o"], ["m l t e", "mathematics, line numbers, tags, evidence"], ["c", "copy the trajectory"], ["Esc", "back to the list"]]],
];

// Keys that came while the view they are meant for was still being drawn, in order.
const typed = [];
let performing = false;

// `everywhere` is what keys do in any view, `current()` returns the view, which has keys of its own. Typing in a field is
// never a command. A key is carried out on what is shown then: one that comes before the next sample is drawn waits.
export function listenToKeys(everywhere, current) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const { key, target } = event;
    if (isField(target)) {
      if (key === "Escape") target.blur();
      return;
    }
    if (key === "Enter" && !performing && target instanceof Element && target.matches("a:not(.row), button, summary")) return;
    const known = key in everywhere || key in (current()?.keys() ?? {});
    if (!known && !(performing && /^(.|Enter|Escape)$/u.test(key))) return;
    event.preventDefault();
    typed.push(key);
    if (!performing) perform(everywhere, current);
  });
}

async function perform(everywhere, current) {
  performing = true;
  try {
    while (typed.length) {
      const view = current();
      if (view && !view.settled && !(typed[0] in everywhere)) await view.ready;
      if (view !== current()) continue;
      const key = typed.shift();
      const field = document.activeElement;
      if (isField(field)) typeInto(field, key);
      else await (everywhere[key] ?? view?.keys()[key])?.();
    }
  } finally {
    performing = false;
  }
}

const isField = (element) => element instanceof HTMLElement && element.matches("input:not([type=checkbox]), textarea, select");

function typeInto(field, key) {
  if (key === "Escape") field.blur();
  else if (key.length === 1) field.setRangeText(key, field.selectionStart, field.selectionEnd, "end");
}

export function showHelp() {
  const dialog = byId("help");
  dialog.replaceChildren(
    h("header", null, h("h2", null, "Keyboard"), button("close", () => dialog.close(), { class: "link" })),
    h("div", { class: "card" }, CARD.map(([title, lines]) => h("section", null, h("h3", null, title), h("dl", null, lines.map(([keys, what]) => [h("dt", null, keys.split(" ").map((key) => h("kbd", null, key))), h("dd", null, what)]))))),
  );
  dialog.showModal();
}
