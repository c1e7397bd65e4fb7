"""Shared by the viewer's tests: its server in a thread."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from pathlib import Path

import uvicorn

from threadweaver.viewer import app, pieces, runs
from threadweaver.viewer.gauge import Gauge

COMMAND = Path(__file__).parent.parent / "src" / "visualize_trajectories.py"


class Server:
    """The viewer on a free port, in a thread."""

    def __init__(self, root: Path, text_column: str | None = None, **options):
        self.app, self.indexer = app.build(runs.find(root, text_column), Gauge(), **options)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(self.app, log_level="critical", access_log=False, ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def __enter__(self) -> Server:
        self.thread.start()
        self.wait()
        return self

    def __exit__(self, *exception) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)
        self.socket.close()

    def wait(self) -> None:
        for _ in range(15_000):
            if self.indexer.status.complete:
                return
            time.sleep(0.02)
        raise AssertionError(f"no index: {self.indexer.status}")

    def ask(self, path: str, method: str = "GET", body=None, headers=()) -> tuple[int, dict, bytes]:
        """Return status, headers and body; the path is sent exactly as given."""
        return ask(self.port, path, method, body, headers)

    def json(self, path: str, **options):
        status, _, body = self.ask(path, **options)
        assert status == 200, (path, status, body[:200])
        return json.loads(body)


def ask(port: int, path: str, method: str = "GET", body=None, headers=()) -> tuple[int, dict, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    sent = dict(headers)
    if body is not None and "content-type" not in sent:
        sent["content-type"] = "application/json"
    with contextlib.closing(connection):
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()


def text_of(rows) -> str:
    """Return the text of rows of pieces."""
    return "\n".join("".join(map(pieces.source, row[2])) for row in rows)
