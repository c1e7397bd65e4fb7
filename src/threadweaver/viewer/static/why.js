// Why a sample was lost: the stage, its reason, and the evidence in the text.

import { h, button, lineRange } from "./dom.js";
import { address } from "./state.js";

const MOST = 5;
const BLOCK = /\bblock (\d{1,4})\b/;

// Null for a sample that no stage lost and whose text is a trajectory. `view` is the trajectory's view.
export function whyLost(view) {
  const { sample, run, route } = view;
  const { loss, fault } = sample;
  if (!loss && !fault) return null;
  const said = loss ? `${loss.title} ${loss.outcome === "failed" ? "failed" : "rejected it"}` : "Its markup is broken";
  const code = loss?.reason || fault.split(" ")[0];
  const detail = loss?.detail || (fault && !loss ? fault.replace(/^\w+ at /, "at ") : "");
  const block = detail.match(BLOCK)?.[1];
  const box = h(
    "section",
    { class: "why-lost", "aria-label": "Why it was lost" },
    h("h2", null, loss?.later ? "Why it is not in the result" : "Why it was lost"),
    h("p", null, h("b", null, `${said}: ${code.replaceAll("_", " ")}`), detail && ` · ${detail}`),
    code === "no_block" && sample.unused.length ? h("ul", { class: "proof" }, sample.unused.slice(0, MOST).map(unusedItem)) : null,
    h(
      "p",
      { class: "ways" },
      fault && button(`Show line ${sample.fault_line}`, () => showLine(view, sample.fault_line), { class: "link" }),
      block && view.container && !fault && button(`Show block ${block}`, () => view.jump(null, block), { class: "link" }),
      run.stages.length ? h("a", { href: address({ view: "stages", id: sample.id, params: route.params }) }, loss?.calls ? "Its stages, with the calls" : "Its stages") : null,
    ),
  );
  return box;
}

function unusedItem({ number, first, last, code, detail }) {
  return h("li", null, h("span", null, `Block ${number} of the annotation${first ? `, ${lineRange(first, last)},` : ""} was not used:`), h("b", null, code.replaceAll("_", " ")), h("span", { class: "soft" }, detail));
}

// Adds the leaks that are certain, or a referee's findings of content, as soon as they are known.
export function addEvidence(box, lens, reason) {
  if (!box || !["leak", "referee"].includes(reason)) return;
  lens.ready.then((found) => {
    const rows = (lens.blocks ?? []).flatMap((known) => known.links.map((link, number) => ({ known, link, number }))).filter(({ link }) => link.grade === "certain" || (link.grade === "referee" && link.kind === "content"));
    if (!found || !rows.length) return;
    box.append(
      h(
        "ul",
        { class: "proof" },
        rows.slice(0, MOST).map(({ known, link, number }) =>
          h("li", null, button(`Block ${known.block.number}: thread ${link.source} → ${link.target}`, () => lens.show(known, number, "target"), { class: "link" }), h("span", { class: "what" }, link.what), h("span", { class: "soft" }, link.kind, link.score === undefined ? "" : `, score ${link.score.toFixed(2)}`)),
        ),
      ),
    );
  });
}

function showLine(view, number) {
  const line = [...view.container.querySelectorAll(".trajectory .line[data-first]")].find((other) => Number(other.dataset.first) <= number && Number(other.dataset.last) >= number);
  if (!line) return;
  line.classList.add("lit");
  line.scrollIntoView({ block: "center" });
}
