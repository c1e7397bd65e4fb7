// The page: the view that the address names, the bar above it, and a regular check for new data.

import { h, button, byId, count } from "./dom.js";
import { getRun } from "./api.js";
import { address, applyPreferences, go, isDark, prefer, readRoute } from "./state.js";
import { ListView } from "./list.js";
import { TrajectoryView } from "./trajectory.js";
import { RawView } from "./raw.js";
import { StagesView } from "./stages.js";
import { StatisticsView } from "./statistics.js";
import { CompareView, RunsView } from "./compare.js";
import { PairView } from "./pair.js";
import { SheetView } from "./sheet.js";
import { hasMarks, stepMarks } from "./find.js";
import { listenToKeys, showHelp } from "./keys.js";

// Milliseconds: between two checks while the index grows, between two checks later, and after the last key of a search.
const BUSY_CHECK = 900;
const QUIET_CHECK = 4000;
const TYPING = 140;

let run = null;
let view = null;

applyPreferences();
listenToKeys({ "/": focusSearch, d: toggleTheme, "?": showHelp }, () => view);
addEventListener("hashchange", show);
history.scrollRestoration = "manual";
start();

async function start() {
  try {
    [run] = await Promise.all([getRun(), mathematicsFont()]);
  } catch (error) {
    byId("view").replaceChildren(h("p", { class: "empty" }, error.message));
    return;
  }
  if (run.only && !location.hash) history.replaceState(null, "", address({ view: "trajectory", id: run.only }));
  drawBar();
  show();
  if (!run.static) setTimeout(checkForNews, BUSY_CHECK);
}

// A formula that is laid out before its font is there keeps the widths of another one.
function mathematicsFont() {
  return document.fonts.load("16px STIX2").catch(() => null);
}

function show() {
  if (!run) return;
  const route = readRoute();
  const views = run.kind === "sheet" ? { list: SheetView } : run.kind === "runs" ? { list: RunsView, compare: CompareView, pair: PairView } : { list: ListView, trajectory: TrajectoryView, stages: StagesView, raw: RawView, statistics: StatisticsView };
  const again = view instanceof views[route.view] && view.route?.id === route.id && route.view === "trajectory";
  if (again) {
    view.route = route;
    if (route.block) view.jump(null, route.block, route.thread);
    return;
  }
  view?.destroy();
  scrollTo(0, 0);
  const read = view instanceof ListView ? null : view;
  if (!views[route.view]) route.view = "list";
  view = views[route.view] === ListView ? new ListView(byId("view"), run, route.params, read) : new views[route.view](byId("view"), run, route);
  document.title = route.id === null ? run.name : `${route.id} · ${run.name}`;
  const box = byId("search");
  if (box && document.activeElement !== box) box.value = route.params.get("q") ?? "";
}

function drawBar() {
  let typing = 0;
  const box = h("input", { id: "search", type: "search", placeholder: "Search text, problem, id", title: "In a sample: Enter goes to the first hit, n and N to the others; Shift+Enter lists the samples with these words", "aria-label": "Search text, problem and id", autocomplete: "off", spellcheck: "false", value: readRoute().params.get("q") ?? "" });
  box.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => (view?.search ? view.search(box.value) : view?.find(box.value)), TYPING);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    clearTimeout(typing);
    if (!view.search) view.find(box.value);
    if (hasMarks() && !event.shiftKey) stepMarks(1);
    else searchFor(box.value);
    box.blur();
  });
  byId("bar").replaceChildren(
    h("a", { class: "brand", href: "#/", title: run.name }, emblem(), h("span", null, run.name)),
    ...(run.beside > 1 ? [h("a", { class: "link", href: "/" }, "All runs")] : []),
    h("div", { class: "search" }, box, h("kbd", null, "/")),
    h("span", { id: "found", role: "status" }),
    h("span", { id: "progress", role: "status" }),
    h("span", { class: "grow" }),
    button("◐", toggleTheme, { class: "icon", aria: "Light or dark", title: "Light or dark (d)" }),
    button("?", showHelp, { class: "icon", aria: "Keyboard", title: "Keyboard (?)" }),
  );
  drawProgress();
}

function emblem() {
  return h("span", { class: "emblem", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
}

function searchFor(text) {
  if (view.search) return view.search(text);
  go({ params: new URLSearchParams(text.trim() ? [["q", text]] : []) });
}

function focusSearch() {
  byId("search")?.focus();
  byId("search")?.select();
}

function toggleTheme() {
  prefer("theme", isDark() ? "light" : "dark");
}

function drawProgress() {
  const { phase, done, total, complete, fault } = run.index;
  const box = byId("progress");
  box.className = fault ? "fault" : complete || run.static ? "done" : "";
  if (complete || run.static) box.textContent = fault ? `the index is out of date: ${fault}` : "";
  else box.textContent = total ? `${phase} ${count(done)} of ${count(total)}` : done ? `${phase} ${count(done)}` : phase;
}

async function checkForNews() {
  const before = run;
  try {
    run = await getRun();
    drawProgress();
    if (run.generation !== before.generation) view?.refresh?.(run);
    if (view) view.run = run;
  } catch (error) {
    byId("progress").textContent = error.message;
    byId("progress").className = "fault";
  }
  setTimeout(checkForNews, run.index.complete ? QUIET_CHECK : BUSY_CHECK);
}
