"""Measure how fast the client is and how well it uses a server's limits. The server runs in its own process.

python tests/bench/client.py throughput    1,024 in flight against replies of 2 s and 2 KB, ledger on; then a replay of
                                           the same requests from the ledger
python tests/bench/client.py limited       a server that accepts 50 requests a second: with its headers, and without

Prints one line of JSON per figure. Without a name: both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "src"))

from threadweaver.client import Client
from threadweaver.client.settings import ClientSettings

PROMPT = "Here is a chain of thought. " * 80  # 2.2 KB


@contextlib.contextmanager
def server(*flags: str) -> Iterator[str]:
    """Run the local server in its own process and yield its URL."""
    command = [sys.executable, str(ROOT / "tests" / "fake_openai.py"), "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return json.load(reply)


async def run(settings: ClientSettings, calls: int, seconds: float | None = None) -> dict[str, Any]:
    """Send `calls` different requests, with twice as many under way as workers, for at most `seconds`."""
    began, cpu = time.monotonic(), time.process_time()
    numbers = iter(range(calls))

    async def worker(client: Client) -> int:
        done = 0
        for number in numbers:
            await client.ask(settings.request([("system", "Be brief."), ("user", f"{number} {PROMPT}")]), label="bench")
            done += 1
            if seconds is not None and time.monotonic() - began > seconds:
                break
        return done

    async with Client(settings) as client:
        counts = await asyncio.gather(*(worker(client) for _ in range(settings.workers * 2)))
        total = client.total()
    elapsed = time.monotonic() - began
    return {
        "calls": sum(counts),
        "seconds": round(elapsed, 2),
        "per_second": round(sum(counts) / elapsed, 1),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "refused": total.refused,
        "sent": total.sent,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def settings_for(url: str, ledger: Path, workers: int) -> ClientSettings:
    return ClientSettings(base_url=url, ledger=ledger, workers=workers)


def throughput(folder: Path, workers: int, calls: int) -> None:
    with server("--latency", "2", "--reply-bytes", "2000") as url:
        figures = asyncio.run(run(settings_for(url, folder / "ledger.sqlite", workers), calls))
        served = stats(url)
    share = figures["per_second"] / (workers / 2)
    print(
        json.dumps(
            {
                "bench": "throughput",
                "in_flight": served["peak_in_flight"],
                **figures,
                "per_cpu_second": round(figures["calls"] / figures["cpu_seconds"], 1),
                "share_of_possible": round(share, 3),
            }
        )
    )


def replay(folder: Path, workers: int, calls: int) -> None:
    figures = asyncio.run(run(settings_for("http://127.0.0.1:9", folder / "ledger.sqlite", workers), calls))
    print(json.dumps({"bench": "replay", **figures}))


def limited(folder: Path, seconds: float, rate: float) -> None:
    for name, flags in (("headers", ()), ("no headers", ("--no-headers",))):
        with server("--latency", "2", "--requests-per-second", str(rate), *flags) as url:
            path = folder / f"limited-{len(flags)}.sqlite"
            figures = asyncio.run(run(settings_for(url, path, 512), 10**6, seconds))
            after = Counter()
            for second, status, count in stats(url)["by_second"]:
                if 10 <= second < seconds:
                    after[status] += count
        answered, refused = after[200], after[429]
        print(
            json.dumps(
                {
                    "bench": f"limited, {name}",
                    **figures,
                    "used_after_10s": round(answered / (rate * (seconds - 10)), 3),
                    "refused_after_10s": round(refused / (answered + refused), 4),
                }
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=["throughput", "limited"])
    parser.add_argument("--workers", type=int, default=1024)
    parser.add_argument("--calls", type=int, default=10_240)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rate", type=float, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.name != "limited":
            throughput(Path(folder), args.workers, args.calls)
            replay(Path(folder), args.workers, args.calls)
        if args.name in (None, "limited"):
            limited(Path(folder), args.seconds, args.rate)


if __name__ == "__main__":
    main()
