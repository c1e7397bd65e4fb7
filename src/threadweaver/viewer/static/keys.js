// The keyboard: handling keys, and the card that lists them.

import { h, button, byId } from "./dom.js";

const CARD = [
  ["Everywhere", [["/", "search"], ["d", "light or dark"], ["?", "this card"]]],
  ["List", [["j k", "next, previous"], ["Enter", "open"], ["2", "open its stages"], ["a x", "accept, reject"]]],
  ["Sample", [["j k", "next, previous sample"], ["] [", "next, previous block"], ["1 2", "trajectory, stages"], ["a x n", "accept, reject, note"], ["m l t", "mathematics, line numbers, tags"], ["c", "copy the trajectory"], ["Esc", "back to the list"]]],
];

// `keys()` returns the map of the current view; typing in a field is never a command.
export function listenToKeys(keys) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const target = event.target;
    if (target instanceof HTMLElement && target.matches("input, textarea, select")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "Enter" && target instanceof HTMLElement && target.matches("a, button, summary")) return;
    const action = keys()[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export function showHelp() {
  const dialog = byId("help");
  dialog.replaceChildren(
    h("header", null, h("h2", null, "Keyboard"), button("close", () => dialog.close(), { class: "link" })),
    h("div", { class: "card" }, CARD.map(([title, lines]) => h("section", null, h("h3", null, title), h("dl", null, lines.map(([keys, what]) => [h("dt", null, keys.split(" ").map((key) => h("kbd", null, key))), h("dd", null, what)]))))),
  );
  dialog.showModal();
}
