"""One request is sent once, whoever asks and whoever is killed."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time

from ledgers import key, run_child
from threadweaver.ledger import Ledger


async def test_a_claim_is_given_once(tmp_path):
    ledger, other = Ledger(tmp_path / "l.sqlite"), Ledger(tmp_path / "l.sqlite")
    claims = await asyncio.gather(*(each.claim(key("x"), 1, None) for each in (ledger, other)))
    assert sorted(claim.state for claim in claims) == ["mine", "theirs"]
    owner = ledger if claims[0].state == "mine" else other
    await owner.release(0, key=key("x"), billed=False)
    assert (await other.claim(key("x"), 1, None)).state == "mine"
    ledger.close()
    other.close()


async def test_the_claim_of_a_killed_process_is_taken_over(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    child = run_child(
        tmp_path / "l.sqlite",
        """
        await ledger.claim(key('x'), 70, None)
        print('claimed', flush=True)
        time.sleep(60)
    """,
    )
    assert child.stdout.readline() == "claimed\n"
    assert (await ledger.claim(key("x"), 1, None)).state == "theirs"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert (await ledger.claim(key("x"), 1, None)).state == "mine"
    # What it had reserved may have been billed: it counts as spent.
    spending = await ledger.spending()
    assert (spending.reserved, spending.uncertain) == (71, 70)
    ledger.close()


async def test_a_claim_of_another_machine_lives_by_its_heartbeat(ledger):
    def insert(age: float):
        def operation(db):
            db.execute("DELETE FROM owners WHERE owner = 'far'")
            db.execute("INSERT INTO owners VALUES ('far', 'another host', 1, '', ?)", (time.time() - age,))
            db.execute("INSERT OR REPLACE INTO claims VALUES (?, 'far', 0)", (bytes.fromhex(key("x")),))

        return operation

    await ledger.thread.run(insert(10))
    assert (await ledger.claim(key("x"), 0, None)).state == "theirs"
    await ledger.thread.run(insert(1000))
    assert (await ledger.claim(key("x"), 0, None)).state == "mine"


def test_a_new_ledger_waits_for_another_process_that_makes_it(tmp_path):
    path = tmp_path / "l.sqlite"
    maker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")  # SQLite refuses a change of the journal's mode at once here, without waiting
    finished = threading.Timer(0.2, lambda: maker.execute("COMMIT"))
    finished.start()
    Ledger(path).close()
    finished.join()
    assert maker.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    maker.close()
