"""Check every request (the host it names, its size, its origin) and add the security headers to every answer."""

from __future__ import annotations

import ipaddress
import json
import socket

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
MAX_BODY = 256 * 1024
MAX_QUERY = 8 * 1024
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Guard:
    """ASGI middleware that refuses requests for a foreign host name, from another page's script, or too large ones.

    Another page can point a host name of its own at this machine.
    """

    def __init__(self, app, exposed_as: str | None = None):
        """`exposed_as` is the address of a server that others may reach: addresses and its name are then accepted."""
        self.app = app
        self.names = LOCAL if exposed_as is None else LOCAL | {exposed_as.lower(), socket.gethostname().lower()}
        self.exposed = exposed_as is not None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {key.lower(): value for key, value in scope["headers"]}
        if refusal := self.refusal(scope, headers):
            return await _answer(send, *refusal)

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def refusal(self, scope, headers) -> tuple[int, str] | None:
        """Return status and reason if the request is refused."""
        host = headers.get(b"host", b"").decode("latin-1")
        if not self.is_ours(host):
            return 403, "this server answers only under its own address"
        if len(scope["query_string"]) > MAX_QUERY or len(scope.get("raw_path") or b"") > MAX_QUERY:
            return 414, "the address is too long"
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").split("://")[-1] != host:
            return 403, "only this server's own page may write"
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
            return 415, "send JSON"
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            return 411, "a Content-Length is needed"
        return (413, "the body is too large") if int(length) > MAX_BODY else None

    def is_ours(self, host: str) -> bool:
        name = host.strip().lower()
        bare = name.rsplit(":", 1)[0] if not name.endswith("]") and ":" in name else name
        if bare in self.names:
            return True
        if not self.exposed:
            return False
        try:
            ipaddress.ip_address(bare.strip("[]"))
        except ValueError:
            return False
        return True


async def _answer(send, status: int, detail: str) -> None:
    body = json.dumps({"error": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
