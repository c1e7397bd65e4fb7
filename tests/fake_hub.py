"""A hub on this machine that serves one dataset of parquet files: what `datasets` asks of it, and no more."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0" * 40


class FakeHub:
    """Serves `files` (path → content) as the dataset `name`; use it as a context manager."""

    def __init__(self, name: str, files: dict[str, bytes]):
        self.name, self.files = name, files
        self.asked: list[str] = []

    def __enter__(self) -> FakeHub:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self)

            do_HEAD = do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        path = unquote(request.path.partition("?")[0])
        self.asked.append(f"{request.command} {path}")
        status, content = self.content_of(path, body, request.headers.get("range"))
        request.send_response(status)
        for name, value in {
            "content-length": str(len(content)),
            "content-type": "application/json" if path.startswith("/api/") else "application/octet-stream",
            "etag": f'"{hashlib.sha1(content).hexdigest()}"',
            "x-repo-commit": COMMIT,
            "accept-ranges": "bytes",
            **({"x-error-code": "EntryNotFound"} if status == 404 else {}),
        }.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def content_of(self, path: str, body: bytes, span: str | None) -> tuple[int, bytes]:
        api, resolve = f"/api/datasets/{self.name}", f"/datasets/{self.name}/resolve/"
        if path.startswith(resolve):
            name = path.removeprefix(resolve).partition("/")[2]
            data = self.files.get(name)
            if data is None:
                return 404, b"{}"
            if span:
                first, _, last = span.removeprefix("bytes=").partition("-")
                return 206, data[int(first) : int(last) + 1 if last else None]
            return 200, data
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            found = {"id": self.name, "sha": COMMIT, "private": False, "tags": [], "siblings": []}
            found["siblings"] = [{"rfilename": name} for name in self.files]
            return 200, json.dumps(found).encode()
        if path.startswith(f"{api}/tree/"):
            inside = path.removeprefix(f"{api}/tree/").partition("/")[2]
            return 200, json.dumps(self.listed(inside)).encode()
        if path.startswith(f"{api}/paths-info/"):
            asked = json.loads(body).get("paths", []) if body.startswith(b"{") else []
            return 200, json.dumps(
                [item for name in asked for item in self.listed("") if item["path"] == name]
            ).encode()
        return 404, b"{}"

    def listed(self, inside: str) -> list[dict]:
        folders = {name.rpartition("/")[0] for name in self.files} - {""}
        found = [{"type": "directory", "oid": COMMIT, "size": 0, "path": name} for name in sorted(folders)]
        for name, data in self.files.items():
            found.append({"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": name})
        return [item for item in found if not inside or item["path"].startswith(inside + "/")]
