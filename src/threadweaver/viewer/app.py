"""The server: JSON endpoints and the page's own files. It writes nothing but the review file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from threadweaver.errors import UserError
from threadweaver.viewer import about, conversations, documents, evidence, export, queries, reviews, stages, units
from threadweaver.viewer.database import Database, location
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.guards import MAX_BODY, Guard
from threadweaver.viewer.indexing import Indexer
from threadweaver.viewer.queries import Lists
from threadweaver.viewer.reviews import Reviews
from threadweaver.viewer.runs import Run
from threadweaver.viewer.table import Query

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    type: str
    tag: str


def assets() -> dict[str, Asset]:
    """Read the page's files once, by name: a request can name only one of these, never a path."""
    found = {}
    for path in sorted(STATIC.rglob("*")):
        if path.suffix in TYPES:
            body = path.read_bytes()
            found[path.relative_to(STATIC).as_posix()] = Asset(
                body, TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            )
    return found


class Viewer:
    """The endpoints, over one run, its index and its reviews."""

    def __init__(self, run: Run, indexer: Indexer, kept: Reviews, ledger: Path | None, beside: int = 1):
        """`beside` is the number of runs that the server shows."""
        self.run, self.indexer, self.reviews, self.ledger, self.beside = run, indexer, kept, ledger, beside
        self.lists = Lists(indexer, kept)
        self.assets = assets()

    def routes(self) -> list[Route]:
        return [
            Route("/", self.page),
            Route("/static/{name:path}", self.asset),
            Route("/api/run", self.run_facts),
            Route("/api/list", self.list),
            Route("/api/statistics", self.statistics),
            Route("/api/points", self.points),
            Route("/api/table.csv", self.table),
            Route("/api/neighbours/{id}", self.neighbours),
            Route("/api/sample/{id}", self.sample),
            Route("/api/sample/{id}/stages", self.stages),
            Route("/api/sample/{id}/units", self.units),
            Route("/api/sample/{id}/export", self.export_one),
            Route("/api/sample/{id}/chat/{stage}", self.chat),
            Route("/api/sample/{id}/evidence", self.evidence),
            Route("/api/sample/{id}/edits", self.edits),
            Route("/api/sample/{id}/calls", self.calls),
            Route("/api/sample/{id}/calls/{stage}/{number:int}", self.turns),
            Route("/api/review/{id}", self.review, methods=["PUT"]),
            Route("/api/export", self.export),
        ]

    def page(self, request: Request) -> Response:
        return serve_asset(self.assets, request, "index.html")

    def asset(self, request: Request) -> Response:
        return serve_asset(self.assets, request, request.path_params["name"])

    def run_facts(self, request: Request) -> Response:
        return answer(about.about(self.run, self.indexer, self.reviews) | {"beside": self.beside})

    def list(self, request: Request) -> Response:
        query = self._query(request)
        with bad_requests():
            offset, limit = queries.page_bounds(request.query_params)
        return answer(self.lists.page(query, offset, limit))

    def statistics(self, request: Request) -> Response:
        with bad_requests():
            return answer(self.lists.distributions(self._query(request), request.query_params.get("by", "sample")))

    def points(self, request: Request) -> Response:
        params = request.query_params
        with bad_requests():
            return answer(self.lists.points(self._query(request), params.get("x", ""), params.get("y", "")))

    def table(self, request: Request) -> Response:
        by = request.query_params.get("by", "sample")
        with bad_requests():
            body = self.lists.csv(self._query(request), by)
        headers = {"content-disposition": f'attachment; filename="{by}s.csv"'}
        return Response(body, media_type="text/csv", headers=headers)

    def neighbours(self, request: Request) -> Response:
        return answer(self.lists.neighbours(request.path_params["id"], self._query(request)))

    def _query(self, request: Request) -> Query:
        with bad_requests():
            return queries.read_query(request.query_params, request.query_params.getlist)

    def _source(self, request: Request) -> documents.Source:
        row = self.indexer.db.row(request.path_params["id"])
        if row is None:
            raise HTTPException(404, "no such sample" + ("" if self.indexer.status.complete else " yet"))
        return documents.load(self.run, self.indexer, row)

    def sample(self, request: Request) -> Response:
        source = self._source(request)
        document = documents.document(source, self.indexer.gauge)
        return answer(document | {"review": self.reviews.get(source.row.id)})

    def stages(self, request: Request) -> Response:
        return answer(stages.stages(self.run, self._source(request), self.indexer.gauge))

    def units(self, request: Request) -> Response:
        return answer(units.units(self._source(request), self.indexer.gauge))

    def chat(self, request: Request) -> Response:
        text = stages.chat(self.run, self._source(request), request.path_params["stage"])
        if text is None:
            raise HTTPException(404, "no conversation was kept")
        return answer({"text": text})

    def evidence(self, request: Request) -> Response:
        return answer(evidence.evidence(self.run, self._source(request), self.indexer.gauge))

    def edits(self, request: Request) -> Response:
        return answer(evidence.reasons_of_edits(self._source(request)))

    def calls(self, request: Request) -> Response:
        return answer(conversations.conversations(self.run, self._source(request), self.ledger))

    def turns(self, request: Request) -> Response:
        stage, number = request.path_params["stage"], request.path_params["number"]
        found = conversations.turns(self.run, self._source(request), self.ledger, stage, number)
        if found is None:
            raise HTTPException(404, "no such conversation")
        return answer({"turns": found})

    async def review(self, request: Request) -> Response:
        id = request.path_params["id"]
        row = self.indexer.db.row(id)
        if row is None:
            raise HTTPException(404, "no such sample")
        body = await read_body(request)
        with bad_requests():
            change = reviews.parse_request(body)
            try:
                return answer(self.reviews.put(id, row.uuid, change))
            except OSError as error:
                detail = f"{self.reviews.path} cannot be written ({error.strerror}): start with --review FILE"
                raise HTTPException(409, detail) from None
            except UserError as error:
                raise HTTPException(409, str(error)) from None

    def export(self, request: Request) -> Response:
        ids = self.lists.ids(self._query(request))
        if len(ids) > about.EXPORT_LIMIT:
            raise HTTPException(413, f"an exported page holds at most {about.EXPORT_LIMIT} samples, not {len(ids)}")
        return self._exported(ids, self.run.root.stem)

    def export_one(self, request: Request) -> Response:
        id = self._source(request).row.id
        return self._exported([id], f"{self.run.root.stem}-{id}")

    def _exported(self, ids: Sequence[str], stem: str) -> Response:
        html = export.page(self.run, self.indexer, self.reviews, ids)
        name = "".join(char for char in f"{stem}.html" if char.isprintable() and char not in '"\\/')
        headers = {"content-disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}"'}
        return Response(html, media_type="text/html", headers=headers)

    def application(self, lifespan=None) -> Starlette:
        return Starlette(routes=self.routes(), lifespan=lifespan, exception_handlers=REFUSALS)


def serve_asset(known: Mapping[str, Asset], request: Request, name: str) -> Response:
    """Return one of the page's files, or that it has not changed."""
    asset = known.get(name)
    if asset is None:
        raise HTTPException(404, "no such file")
    headers = {"etag": asset.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.type, headers=headers)


@contextlib.contextmanager
def bad_requests():
    """Answer a request that cannot be read with status 400 and what is wrong."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise HTTPException(400, str(error)[:200]) from None


async def read_body(request: Request) -> bytes:
    """Return the body; refuse it when it grows beyond the limit, whatever length it declared."""
    read = b""
    async for chunk in request.stream():
        read += chunk
        if len(read) > MAX_BODY:
            raise HTTPException(413, "the body is too large")
    return read


def answer(value: object) -> Response:
    return Response(json.dumps(value, separators=(",", ":")), media_type="application/json")


def refusal(status: int, detail: str) -> Response:
    return Response(json.dumps({"error": detail}), status, media_type="application/json")


async def refuse(request: Request, error: HTTPException) -> Response:
    return refusal(error.status_code, error.detail)


async def refuse_for_now(request: Request, error: sqlite3.Error) -> Response:
    """Answer while the index is away: it was removed, or another program holds it."""
    return refusal(503, f"the index cannot be read now ({error})")


REFUSALS = {HTTPException: refuse, sqlite3.Error: refuse_for_now}


def viewer_of(run: Run, gauge: Gauge, review: Path | None, ledger: Path | None, beside: int = 1) -> Viewer:
    """Return the viewer of a run, whose index does not work yet; see `build`."""
    indexer = Indexer(run, gauge, Database(location(run.root)))
    kept = Reviews(review or run.review_file)
    return Viewer(run, indexer, kept, conversations.ledger_of(run, ledger), beside)


def build(
    run: Run, gauge: Gauge, review: Path | None = None, exposed_as: str | None = None, ledger: Path | None = None
):
    """Return the application and its index, which starts and stops with the application.

    `review` is the file of the reviews; `exposed_as` the address of a server that others may reach; `ledger` the one
    that holds the run's calls, if it is not beside the run. Raises UserError.
    """
    viewer = viewer_of(run, gauge, review, ledger)
    indexer = viewer.indexer

    @contextlib.asynccontextmanager
    async def lifespan(app):
        indexer.start()
        yield
        indexer.stop()

    return Guard(viewer.application(lifespan), exposed_as), indexer
