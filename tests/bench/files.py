"""How many files a run has, and how long listing them takes.

    python tests/bench/files.py [--samples 53000] [--folder DIR]

Makes the folder of a stage with as many small samples as are asked for, each with the files that stages 2 to 5 write (the
trajectory, its trace as JSON and as text), and prints the number of files, the seconds of writing them, of opening the
folder (its account is read) and of listing its samples, as the next stage does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver.runs.folder import AccountEntry, StageFolder
from threadweaver.runs.given import Given
from threadweaver.stages.traced import traced_names


def made(path: Path, samples: int) -> None:
    with StageFolder(path, {"stage": "parallel"}) as folder:
        ids = [str(number) for number in range(samples)]
        entries = (
            folder.put(
                AccountEntry(id, "ok", uuid=f"bench-{id}", source="0" * 16),
                {f"{id}.txt": "text\n", f"trace/{id}.json": "{}", f"trace/{id}.txt": "trace\n"},
            )
            for id in ids
        )
        folder.close_account(entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=53_000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "step2"
        begun = time.monotonic()
        made(path, args.samples)
        print(f"written   {time.monotonic() - begun:7.1f} s")
        begun = time.monotonic()
        count = sum(1 for item in path.rglob("*") if item.is_file())
        print(f"{count} files, {count / args.samples:.1f} per sample; counted in {time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        given = Given.open(path)
        opened = time.monotonic()
        names = traced_names(given)
        print(f"opened    {opened - begun:7.1f} s (account of {(path / 'account.jsonl').stat().st_size / 1e6:.0f} MB)")
        print(f"listed    {time.monotonic() - opened:7.1f} s ({len(names)} samples)")


if __name__ == "__main__":
    main()
