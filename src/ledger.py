"""Export and import paid replies as JSONL: with the file, anyone can rebuild the run without a key.

Reads   a ledger (export), a file that an export wrote (import), or another ledger of one's own (copy: its replies remain
        paid ones, and what they cost is spent there)
Writes  the file (a new one, or over an earlier export; a pipe is written through), or the ledger; replies that
        the ledger has are left as they are
Calls   nothing
Exits   0; 2 something to fix, in one line
Example python src/ledger.py import data/sample/recorded.jsonl --ledger data/ledger.sqlite
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from threadweaver.client.settings import add_ledger_flag
from threadweaver.errors import UserError
from threadweaver.ledger import Ledger, merging, target, transfer
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("what", choices=("export", "import", "copy"))
    parser.add_argument("file", type=Path, help="the JSONL file to write or to read, or the ledger to copy")
    add_ledger_flag(parser)
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.what != "export":
        return take(args.file, args.ledger, transfer.load if args.what == "import" else merging.copy)
    if not args.ledger.exists():
        raise UserError(f"ledger {args.ledger} not found: give another with --ledger")
    ledger = Ledger(args.ledger, read_only=True)
    try:
        count = transfer.export(ledger, args.file)
    finally:
        ledger.close()
    # a pipe may be our own standard output
    print(f"{count} replies → {args.file}", file=sys.stderr if target.is_stream(args.file) else sys.stdout)
    return 0


def take(file: Path, path: Path, load: Callable[[Ledger, Path], tuple[int, int]]) -> int:
    ledger = Ledger(path)
    try:
        new, known = load(ledger, file)
        print(f"{path}: {new} replies imported" + (f", {known} known" if known else ""))
    finally:
        ledger.close()
    return 0


if __name__ == "__main__":
    run_command(main)
