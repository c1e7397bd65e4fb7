"""Take paid replies from one ledger to another, as JSONL: whoever has the file rebuilds the run without a key.

Reads   a ledger (export), or a file that an export wrote (import)
Writes  the file, or the ledger; what the ledger holds already is left as it is
Calls   nothing
Exits   0; 2 something to mend, said in one line
Example python src/ledger.py import data/sample/recorded.jsonl --ledger data/ledger.sqlite
"""

from __future__ import annotations

from pathlib import Path

from threadweaver import stage
from threadweaver.client.settings import DEFAULT_LEDGER
from threadweaver.errors import UserError
from threadweaver.ledger import Ledger, transfer


def flags() -> stage.Flags:
    parser = stage.Flags(__doc__)
    parser.add_argument("what", choices=("export", "import"))
    parser.add_argument("file", type=Path, help="the JSONL file to write or to read")
    parser.add_argument("--ledger", type=Path, default=DEFAULT_LEDGER, help="the ledger (data/ledger.sqlite)")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.what == "export" and not args.ledger.is_file():
        raise UserError(f"the ledger {args.ledger} is not there: name another with --ledger")
    args.ledger.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(args.ledger)
    try:
        if args.what == "export":
            print(f"{transfer.export(ledger, args.file)} replies → {args.file}")
        else:
            new, known = transfer.load(ledger, args.file)
            print(f"{args.ledger}: {new} replies taken in" + (f", {known} were there" if known else ""))
    finally:
        ledger.close()
    return 0


if __name__ == "__main__":
    stage.command(main)
