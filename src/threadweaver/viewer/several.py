"""Several runs in one server: each under `/run/<number>/` as if alone, and any two of them side by side."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from threadweaver.viewer import app, comparing, queries, stages
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.guards import Guard
from threadweaver.viewer.indexing import Status
from threadweaver.viewer.runs import Run
from threadweaver.viewer.table import FACETS, MEASURES

MAX_SETTING = 200
"""Characters of a setting that the page shows."""
_NOT_SETTINGS = ("stage", "input", "chains")


class Several:
    """The endpoints over several runs. A run is indexed from the first request for it on."""

    def __init__(self, runs: Sequence[Run], gauge: Gauge, ledger: Path | None):
        self.runs, self.gauge, self.ledger = runs, gauge, ledger
        self.viewers: dict[int, tuple[app.Viewer, Starlette]] = {}
        self.comparisons: dict[tuple[int, int], comparing.Comparison] = {}
        self.assets = app.assets()
        self._lock = threading.Lock()

    def application(self) -> Starlette:
        routes = [
            Route("/", lambda request: app.serve_asset(self.assets, request, "index.html")),
            Route(
                "/static/{name:path}",
                lambda request: app.serve_asset(self.assets, request, request.path_params["name"]),
            ),
            Route("/api/run", self.about),
            Route("/api/compare/{one:int}/{two:int}", self.compare),
            Route("/api/compare/{one:int}/{two:int}/statistics", self.statistics),
            Route("/api/compare/{one:int}/{two:int}/neighbours", self.neighbours),
            Mount("/run/{number:int}", app=self.run),
        ]

        @contextlib.asynccontextmanager
        async def lifespan(application):
            yield
            for viewer, _ in self.viewers.values():
                viewer.indexer.stop()

        return Starlette(routes=routes, lifespan=lifespan, exception_handlers=app.REFUSALS)

    async def run(self, scope, receive, send) -> None:
        from starlette.concurrency import run_in_threadpool

        number = scope["path_params"]["number"]
        if not 0 <= number < len(self.runs):
            await app.refusal(404, "no such run")(scope, receive, send)
            return
        _, application = await run_in_threadpool(self._viewer, number)
        await application(scope, receive, send)

    def _viewer(self, number: int) -> tuple[app.Viewer, Starlette]:
        with self._lock:
            if number not in self.viewers:
                viewer = app.viewer_of(self.runs[number], self.gauge, None, self.ledger, beside=len(self.runs))
                viewer.indexer.start()
                self.viewers[number] = viewer, viewer.application()
            return self.viewers[number]

    def about(self, request: Request) -> Response:
        """Return the runs, what their settings differ in, and the state of the indexes that are in use."""
        statuses = [viewer.indexer.status for viewer, _ in list(self.viewers.values())]
        busy = next((status for status in statuses if status.fault or not status.complete), None)
        differing = differences(self.runs)
        shown = [
            {
                "number": number,
                "name": run.root.name,
                "folder": run.root.parent.name,
                "kind": run.kind,
                "stages": stages.funnel(run),
                "settings": differing[number],
            }
            for number, run in enumerate(self.runs)
        ]
        result = {
            "name": f"{len(self.runs)} runs",
            "kind": "runs",
            "runs": shown,
            "stages": [],
            "measures": [{"name": name, "label": label, "unit": unit} for name, (label, unit) in MEASURES.items()],
            "facets": [{"name": name, "title": title} for name, title in FACETS.items()],
            "index": asdict(busy or Status("ready", complete=True)),
            "generation": sum(viewer.indexer.generation for viewer, _ in list(self.viewers.values())),
            "static": False,
        }
        return app.answer(result)

    def _comparison(self, request: Request) -> tuple[comparing.Comparison, comparing.Question]:
        pair = request.path_params["one"], request.path_params["two"]
        if not all(0 <= number < len(self.runs) for number in pair) or pair[0] == pair[1]:
            raise HTTPException(404, "no such two runs")
        one, two = (self._viewer(number)[0].lists for number in pair)
        with self._lock:
            comparison = self.comparisons.setdefault(pair, comparing.Comparison(one, two))
        with app.bad_requests():
            return comparison, comparing.read_question(request.query_params, request.query_params.getlist)

    def compare(self, request: Request) -> Response:
        comparison, question = self._comparison(request)
        with app.bad_requests():
            offset, limit = queries.page_bounds(request.query_params)
        return app.answer(comparison.page(question, offset, limit))

    def statistics(self, request: Request) -> Response:
        comparison, question = self._comparison(request)
        return app.answer(comparison.distributions(question))

    def neighbours(self, request: Request) -> Response:
        comparison, question = self._comparison(request)
        sides = (request.query_params.get(name, "") for name in ("a", "b"))
        return app.answer(comparison.neighbours(question, *sides))


def differences(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return for each run the settings of its stages that are not the same in all runs that have any."""
    settings = [_settings(run) for run in runs]
    names = sorted({name for one in settings for name in one})
    differing = [name for name in names if len({one.get(name) for one in settings if one}) > 1]
    return [{name: one[name] for name in differing if name in one} for one in settings]


def _settings(run: Run) -> Mapping[str, str]:
    return {
        f"{place.stage}: {name}": str(value)[:MAX_SETTING]
        for place in run.places
        for name, value in place.settings.items()
        if name not in _NOT_SETTINGS
    }


def build(runs: Sequence[Run], gauge: Gauge, exposed_as: str | None = None, ledger: Path | None = None) -> Guard:
    """Return the application over several runs; see `app.build` for its arguments."""
    return Guard(Several(runs, gauge, ledger).application(), exposed_as)
