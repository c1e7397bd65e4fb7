"""What is known of endpoints: how each wants requests that its API would write in another way.

The table is made by the first ledger that has something to remember; others have none.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

_TABLE = """CREATE TABLE IF NOT EXISTS endpoints (base_url TEXT NOT NULL, api TEXT NOT NULL, model TEXT NOT NULL,
    known TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (base_url, api, model))"""


def known(db: sqlite3.Connection, base_url: str) -> Mapping[tuple[str, str], str]:
    """Return what is known of an endpoint by the name of the API and of the model."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'endpoints'").fetchone():
        return {}
    rows = db.execute("SELECT api, model, known FROM endpoints WHERE base_url = ?", (base_url,)).fetchall()
    return {(api, model): text for api, model, text in rows}


def remember(db: sqlite3.Connection, base_url: str, api: str, model: str, text: str) -> None:
    db.execute(_TABLE)
    db.execute("INSERT OR REPLACE INTO endpoints VALUES (?, ?, ?, ?, ?)", (base_url, api, model, text, time.time()))
