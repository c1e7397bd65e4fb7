"""A judging sheet: blocks of one or several runs in an order that a seed gives, shown without where they come from.

The answers go into the review file of each run, under the block's own number.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from threadweaver.errors import UserError
from threadweaver.trajectory import markup
from threadweaver.viewer import app, describe, documents, pieces, scan
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.guards import Guard
from threadweaver.viewer.indexing import Status
from threadweaver.viewer.reviews import Change, Reviews, parse_request
from threadweaver.viewer.runs import PLAIN, Run
from threadweaver.viewer.table import Row

CONTEXT_LINES = 60
"""Lines before a block that are shown; how many are left out is said."""
HERE = "1"
"""The place of the block that is shown, whatever its number."""


@dataclass(frozen=True, slots=True)
class Item:
    """One block to be judged: `number` counts from 1 in its trajectory."""

    run: int
    id: str
    uuid: str
    problem: str
    path: Path
    number: int

    def place(self, shown: str) -> str:
        """Return the place in the trajectory of one in the sheet, such as `1.2`. Raises ValueError."""
        block, dot, thread = shown.partition(".")
        if block != HERE:
            raise ValueError(f"this sheet shows one block, {HERE}, not {shown[:20]}")
        return f"{self.number}{dot}{thread}"


def draw(runs: Sequence[Run], count: int, seed: int) -> list[Item]:
    """Draw `count` blocks, at most one per sample, of the texts that were not rejected; fewer if there are no more.

    Raises UserError when there is none.
    """
    chance = random.Random(seed)
    candidates = [(number, id, found) for number, run in enumerate(runs) for id, found in _texts(run)]
    chance.shuffle(candidates)
    items: list[Item] = []
    for number, id, found in candidates:
        if len(items) == count:
            break
        try:
            blocks = markup.parse(describe.read(found.path)).blocks
        except (markup.MarkupError, OSError):
            continue
        if blocks:
            known = _known(runs[number], id, found)
            items.append(
                Item(number, id, known.uuid or id, known.problem, found.path, 1 + chance.randrange(len(blocks)))
            )
    if not items:
        raise UserError("no trajectory with a block was found: name the folder of an accepted stage with --root")
    return items


def _texts(run: Run) -> Iterator[tuple[str, scan.Found]]:
    for id, found in sorted(scan.files(run).items()):
        if found.path.parent.name != scan.REJECTED and (run.kind == PLAIN or found.stage == run.kind):
            yield id, found


def _known(run: Run, id: str, found: scan.Found) -> describe.Known:
    lineage = documents.find_lineage(run, id)
    return describe.Known(lineage.uuid, lineage.problem) if lineage else describe.from_trace(found.path)


class Sheet:
    """The endpoints of a sheet, and nothing else: what would tell where a block comes from cannot be asked for."""

    def __init__(self, runs: Sequence[Run], gauge: Gauge, count: int, seed: int, review: Path | None = None):
        self.items, self.gauge, self.seed = draw(runs, count, seed), gauge, seed
        self.reviews = [Reviews(review or run.review_file) for run in runs]
        self.assets = app.assets()

    def application(self) -> Starlette:
        def asset(request: Request) -> Response:
            return app.serve_asset(self.assets, request, request.path_params.get("name", "index.html"))

        routes = [
            Route("/", asset),
            Route("/static/{name:path}", asset),
            Route("/api/run", self.about),
            Route("/api/sheet", self.progress),
            Route("/api/sheet/{number:int}", self.item),
            Route("/api/sheet/{number:int}", self.judge, methods=["PUT"]),
        ]
        return Starlette(routes=routes, exception_handlers=app.REFUSALS)

    def about(self, request: Request) -> Response:
        name, index = f"{len(self.items)} blocks, seed {self.seed}", asdict(Status("ready", complete=True))
        facts = {"name": name, "kind": "sheet", "stages": [], "index": index, "generation": 1, "static": False}
        return app.answer(facts)

    def progress(self, request: Request) -> Response:
        """Return for each block how many questions about it are answered."""
        return app.answer({"answered": [len(self._judged(item).get(HERE, {})) for item in self.items]})

    def _item(self, request: Request) -> Item:
        number = request.path_params["number"]
        if not 1 <= number <= len(self.items):
            raise HTTPException(404, "no such block in this sheet")
        return self.items[number - 1]

    def _judged(self, item: Item) -> dict:
        """Return the judgements of the item, under the places that the sheet shows."""
        own = self.reviews[item.run].judged().get(item.id, {})
        head = str(item.number)
        return {HERE + place[len(head) :]: answers for place, answers in own.items() if place.split(".")[0] == head}

    def item(self, request: Request) -> Response:
        item = self._item(request)
        trajectory = markup.parse(describe.read(item.path))
        block = trajectory.blocks[item.number - 1]
        lines = trajectory.text[: block.start].split("\n")
        blank = Row("", "", "", "", "", "", "unknown", True, (), "[]")
        lengths = documents.Lengths(trajectory, self.gauge, blank)
        parts = [part for part in documents.parts(trajectory, None, lengths) if part["kind"] == "block"]
        shown = {
            "problem": pieces.rows(item.problem),
            "context": pieces.rows("\n".join(lines[-CONTEXT_LINES:]).strip("\n")),
            "left_out": max(0, len(lines) - CONTEXT_LINES),
            "block": parts[item.number - 1] | {"number": 1},
            "judged": self._judged(item),
        }
        return app.answer(shown)

    async def judge(self, request: Request) -> Response:
        item = self._item(request)
        with app.bad_requests():
            change = parse_request(await app.read_body(request))
            judged = {item.place(place): answers for place, answers in (change.judged or {}).items()}
            try:
                self.reviews[item.run].put(item.id, item.uuid, Change(judged=judged))
            except (OSError, UserError) as error:
                raise HTTPException(409, str(error)) from None
        return app.answer({"judged": self._judged(item)})


def build(
    runs: Sequence[Run], gauge: Gauge, count: int, seed: int, review: Path | None = None, exposed_as: str | None = None
) -> Guard:
    """Return the application of a sheet. Raises UserError when there is nothing to judge."""
    return Guard(Sheet(runs, gauge, count, seed, review).application(), exposed_as)
