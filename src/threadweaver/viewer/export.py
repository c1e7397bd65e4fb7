"""Export samples as one self-contained page: the same files and the same data, without a server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from threadweaver.viewer import documents, evidence, stages, units
from threadweaver.viewer.about import about
from threadweaver.viewer.indexing import Indexer
from threadweaver.viewer.queries import Lists
from threadweaver.viewer.reviews import Reviews
from threadweaver.viewer.runs import Run

STATIC = Path(__file__).parent / "static"
MOST_EVIDENCE = 60
"""Samples of a page whose leaks are looked for: a long one takes up to two seconds."""
VENDOR = "vendor"
_FONT = re.compile(r"url\('\./(\w+\.woff2)'\)")
_IMPORT = re.compile(r"^import .*? from \"\./([\w-]+\.js)\";\n", re.M | re.S)


def page(run: Run, indexer: Indexer, reviews: Reviews, ids: Sequence[str]) -> str:
    """Return the page as HTML. Its policy allows only its own scripts, style and font, by their hashes or as data."""
    made, script, style = (STATIC / VENDOR / "temml.min.js").read_text(), bundle("app.js"), styles()
    data = _data(run, indexer, reviews, ids)
    html = (STATIC / "index.html").read_text()
    policy = (
        f"default-src 'none'; script-src {_hash(made)} {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )
    html = re.sub(r"\s*<link [^>]*>", "", html)
    html = re.sub(r"\s*<script [^>]*></script>", "", html)
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>\n</head>'
    tail = (
        f'<script type="application/json" id="data">{data}</script>\n<script>{made}</script>\n'
        f'<script type="module">{script}</script>\n</body>'
    )
    return html.replace("</head>", head).replace("</body>", tail)


def styles() -> str:
    """Return the style sheets in the order in which the page names them, with the font as data."""
    named = re.findall(r'rel="stylesheet" href="/static/([\w/-]+\.css)"', (STATIC / "index.html").read_text())
    return "".join(_FONT.sub(_as_data, (STATIC / name).read_text()) for name in named)


def _as_data(match: re.Match[str]) -> str:
    font = base64.b64encode((STATIC / VENDOR / match.group(1)).read_bytes()).decode()
    return f"url(data:font/woff2;base64,{font})"


def bundle(entry: str) -> str:
    """Return the page's modules as one, each after those it imports. They share a scope: no two names may be equal."""
    placed: list[str] = []
    text: list[str] = []

    def place(name: str) -> None:
        if name in placed:
            return
        placed.append(name)
        source = (STATIC / name).read_text()
        for other in _IMPORT.findall(source):
            place(other)
        text.append(re.sub(r"^export ", "", _IMPORT.sub("", source), flags=re.M))

    place(entry)
    return "\n".join(text).replace("</script", "<\\/script")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(run: Run, indexer: Indexer, reviews: Reviews, ids: Sequence[str]) -> str:
    """Return everything that the page would request, as JSON that cannot close its element."""
    verdicts = reviews.verdicts()
    lists = Lists(indexer, reviews)
    rows = [row for id in ids if (row := indexer.db.row(id))]
    sources = [documents.load(run, indexer, row) for row in rows]
    shown = [documents.document(source, indexer.gauge) | {"review": reviews.get(source.row.id)} for source in sources]
    ways = [stages.stages(run, source, indexer.gauge) | {"chats": []} for source in sources] if run.places else []
    data = {
        "run": about(run, indexer, reviews) | {"static": True, "only": rows[0].id if len(rows) == 1 else None},
        "rows": [lists.row(row, verdicts.get(row.id, ""), ()) for row in rows],
        "totals": lists.totals(ids),
        "samples": {document["id"]: document for document in shown},
        "stages": {way["id"]: way for way in ways},
        "units": {source.row.id: units.units(source, indexer.gauge) for source in sources},
        "evidence": {
            source.row.id: evidence.evidence(run, source, indexer.gauge) for source in sources[:MOST_EVIDENCE]
        },
        "edits": {source.row.id: evidence.reasons_of_edits(source) for source in sources[:MOST_EVIDENCE]},
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
