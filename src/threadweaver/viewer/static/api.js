// The source of the data: the server, or, in an exported page, the page itself.

const embedded = readEmbedded();
// A server of several runs has the page of each in a folder of its own.
const BASE = location.pathname.replace(/[^/]*$/, "");

function readEmbedded() {
  const element = document.getElementById("data");
  return element ? JSON.parse(element.textContent) : null;
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path.startsWith("/api/") ? BASE + path.slice(1) : path, options);
  } catch {
    throw new Error("no answer from the server: is it still running?");
  }
  const body = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(body.error ?? `the server answered ${answer.status}`);
  return body;
}

function send(method, path, value, options) {
  return ask(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(value), ...options });
}

export async function getRun() {
  return embedded ? embedded.run : ask("/api/run");
}

export async function getList(params, offset = 0, limit = 0) {
  if (embedded) return embeddedList(params, offset);
  await written();
  const search = new URLSearchParams(params);
  search.set("offset", offset);
  if (limit) search.set("limit", limit);
  return ask(`/api/list?${search}`);
}

export async function getStatistics(params, by) {
  const search = new URLSearchParams(params);
  search.set("by", by);
  return ask(`/api/statistics?${search}`);
}

export async function getPoints(params, x, y) {
  const search = new URLSearchParams(params);
  search.set("x", x);
  search.set("y", y);
  return ask(`/api/points?${search}`);
}

export function tableAddress(params, by) {
  const search = new URLSearchParams(params);
  search.set("by", by);
  return `${BASE}api/table.csv?${search}`;
}

// Of two runs, by their numbers.
export async function getComparison(runs, params, offset = 0) {
  const search = new URLSearchParams(params);
  search.set("offset", offset);
  return ask(`/api/compare/${runs.join("/")}?${search}`);
}

export async function getComparisonStatistics(runs, params) {
  return ask(`/api/compare/${runs.join("/")}/statistics?${params}`);
}

export async function getPairNeighbours(runs, params, [one, two]) {
  const search = new URLSearchParams(params);
  search.set("a", one ?? "");
  search.set("b", two ?? "");
  return ask(`/api/compare/${runs.join("/")}/neighbours?${search}`);
}

export async function getSampleOf(run, id) {
  return ask(`/run/${run}/api/sample/${encodeURIComponent(id)}`);
}

export async function getNeighbours(id, params) {
  if (embedded) return embeddedNeighbours(id, params);
  return ask(`/api/neighbours/${encodeURIComponent(id)}?${params}`);
}

export async function getSample(id) {
  if (embedded) return found(embedded.samples[id]);
  await written();
  return ask(`/api/sample/${encodeURIComponent(id)}`);
}

export async function getUnits(id) {
  if (embedded) return found(embedded.units[id]);
  return ask(`/api/sample/${encodeURIComponent(id)}/units`);
}

export function sampleExport(id) {
  return `${BASE}api/sample/${encodeURIComponent(id)}/export`;
}

export async function getStages(id) {
  if (embedded) return found(embedded.stages[id]);
  return ask(`/api/sample/${encodeURIComponent(id)}/stages`);
}

export async function getChat(id, stage) {
  return (await ask(`/api/sample/${encodeURIComponent(id)}/chat/${stage}`)).text;
}

export async function getEvidence(id) {
  if (embedded) return embedded.evidence?.[id] ?? null;
  return ask(`/api/sample/${encodeURIComponent(id)}/evidence`);
}

// By block.thread the known reasons of each edit.
export async function getReasons(id) {
  if (embedded) return embedded.edits?.[id] ?? {};
  return ask(`/api/sample/${encodeURIComponent(id)}/edits`);
}

// A judging sheet: how far it is, one block of it, and answers about that.
export const getSheet = () => ask("/api/sheet");
export const getBlock = (number) => ask(`/api/sheet/${number}`);
export const putJudged = (number, judged) => send("PUT", `/api/sheet/${number}`, { judged }, { keepalive: true });

// By stage the calls about a sample, without their texts.
export async function getCalls(id) {
  if (embedded) return { stages: [], notes: ["This page holds no conversations."] };
  return ask(`/api/sample/${encodeURIComponent(id)}/calls`);
}

export async function getTurns(id, stage, number) {
  return (await ask(`/api/sample/${encodeURIComponent(id)}/calls/${stage}/${number}`)).turns;
}

// By sample: the review that is being written. Those of one sample are written in order, and what is read later is
// read after them; `keepalive` lets them arrive even if the page is closed.
const writing = new Map();
const written = () => Promise.all(writing.values());

// Changes the verdict or the note, whichever is given; the other one is kept.
export function putReview(id, change) {
  const put = () => send("PUT", `/api/review/${encodeURIComponent(id)}`, change, { keepalive: true });
  const answer = writing.has(id) ? writing.get(id).then(put) : put();
  const done = answer.catch(() => null).then(() => writing.get(id) === done && writing.delete(id));
  writing.set(id, done);
  return answer;
}

export function exportAddress(params) {
  return `${BASE}api/export?${params}`;
}

function found(value) {
  if (!value) throw new Error("no such sample in this page");
  return value;
}

function embeddedRows(params) {
  const words = (params.get("q") ?? "").toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
  if (!words.length) return embedded.rows;
  return embedded.rows.filter((row) => {
    const text = `${row.id} ${row.problem} ${embedded.samples[row.id]?.text ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function embeddedList(params, offset) {
  const rows = embeddedRows(params);
  const sort = params.get("sort");
  const at = embedded.run.measures.findIndex((item) => item.name === sort);
  const sorted = at < 0 ? [...rows] : [...rows].sort((one, two) => (one.values[at] ?? Infinity) - (two.values[at] ?? Infinity));
  if (params.get("dir") === "desc") sorted.reverse();
  return { generation: 1, count: rows.length, offset, rows: sorted.slice(offset, offset + 500), totals: rows.length === embedded.rows.length ? embedded.totals : null, facets: {}, histograms: {} };
}

function embeddedNeighbours(id, params) {
  const rows = embeddedRows(params);
  const at = rows.findIndex((row) => row.id === id);
  return { place: at < 0 ? null : at + 1, count: rows.length, previous: rows[at - 1]?.id ?? null, next: rows[at + 1]?.id ?? null };
}
