// The state in the address (sample, filters), and the reader's preferences.

const PREFERENCES = { theme: "", math: true, numbers: true, tags: false, evidence: true, advance: true, judging: false };

// Returns {view, id, block, thread, runs, params} from the part of the address after #.
export function readRoute() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  const route = { view: "list", id: null, block: null, thread: null, params: new URLSearchParams(search) };
  if (parts[0] === "statistics") route.view = "statistics";
  if (["compare", "pair"].includes(parts[0])) Object.assign(route, { view: parts[0], runs: [Number(parts[1]), Number(parts[2])] });
  if (parts[0] !== "sample" || parts[1] === undefined) return route;
  route.id = parts[1];
  route.view = ["stages", "raw"].includes(parts[2]) ? parts[2] : "trajectory";
  const at = parts.indexOf("block");
  if (at > 1) route.block = Number(parts[at + 1]) || null;
  const inner = parts.indexOf("thread");
  if (inner > 1) route.thread = Number(parts[inner + 1]) || null;
  return route;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function address({ view = "list", id, block, thread, runs, params }) {
  let path = "#/";
  if (view === "statistics") path += view;
  else if (runs) path += `${view}/${runs.join("/")}`;
  else if (view !== "list") {
    path += `sample/${encodeURIComponent(id)}`;
    if (view === "stages" || view === "raw") path += `/${view}`;
    if (block) path += `/block/${block}`;
    if (thread) path += `/thread/${thread}`;
  }
  const search = params?.toString();
  return search ? `${path}?${search}` : path;
}

// What the address of the statistics has besides the filters, which all views share.
const OF_STATISTICS = ["by", "x", "y"];

export function filtersOf(params) {
  return new URLSearchParams([...params].filter(([name]) => !OF_STATISTICS.includes(name)));
}

// Shows the route before the next key is read; assigning to location.hash would show it some time later.
export function go(route) {
  if (address(route) === location.hash) return;
  history.pushState(null, "", address(route));
  dispatchEvent(new Event("hashchange"));
}

// Changes the address without a new entry in the history, for filters while they are dragged.
export function replaceRoute(route) {
  history.replaceState(null, "", address(route));
}

export function preference(name) {
  try {
    const kept = localStorage.getItem(`trajectories.${name}`);
    return kept === null ? PREFERENCES[name] : JSON.parse(kept);
  } catch {
    return PREFERENCES[name];
  }
}

export function prefer(name, value) {
  try {
    localStorage.setItem(`trajectories.${name}`, JSON.stringify(value));
  } catch {
    // a page opened from a file may not store anything
  }
  applyPreferences();
}

export function applyPreferences() {
  const root = document.documentElement;
  const theme = preference("theme");
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  root.classList.toggle("source", !preference("math"));
  root.classList.toggle("unnumbered", !preference("numbers"));
  root.classList.toggle("with-tags", preference("tags"));
  root.classList.toggle("without-evidence", !preference("evidence"));
}

export function isDark() {
  return (preference("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}
