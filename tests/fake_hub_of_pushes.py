"""A hub on this machine that takes the commits of `huggingface_hub`: what was pushed, and by whom."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeHub:
    """Serves one dataset. `files` holds what was committed, `private` how it was made, `refuse` a status to answer with."""

    def __init__(self, *, exists: bool = False, private: bool = True, refuse: int = 0):
        self.exists, self.private, self.refuse = exists, private, refuse
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(b"")

            def do_POST(self) -> None:
                self.answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

            def answer(self, body: bytes) -> None:
                hub.tokens.add(self.headers.get("authorization"))
                status, value = hub.answer(self.path, body)
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, body: bytes) -> tuple[int, object]:
        if self.refuse:
            return self.refuse, {"error": "no"}
        if path == "/api/repos/create":
            if self.exists:
                return 409, {"error": "it exists", "url": f"{self.url}/datasets/me/set"}
            asked, self.exists = json.loads(body), True
            self.private = asked.get("visibility") == "private" or asked.get("private") is True
            return 200, {"url": f"{self.url}/datasets/me/set"}
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        if "/commit/" in path:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"success": True, "commitUrl": f"{self.url}/datasets/me/set/commit/1", "commitOid": "1"}
        if path.startswith("/api/datasets/me/set"):
            return 200, {"id": "me/set", "private": self.private, "sha": "1", "siblings": []}
        return 200, {}
