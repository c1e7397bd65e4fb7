"""View a folder of trajectories, or any stage of a run, as a page on this machine.

Reads   the folder, the stages of its run, collected.jsonl, the ledger of its calls; or a dataset (parquet, .jsonl)
Writes  review.jsonl next to the data when a sample is reviewed; an index next to the folder (.viewer/); --export: one page
Calls   nothing
Exits   0; 2 something to fix, in one line; 130 stopped
Example python src/visualize_trajectories.py --root data/sample_24samples_step5_v1_v1_v1 --port 8899
        python src/visualize_trajectories.py --root data    # every run in it; any two of them side by side
"""

from __future__ import annotations

import ipaddress
import sys
import time
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, count, positive_int

INDEX_LIMIT = 3600
"""The longest time in seconds that --export waits for the index."""


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        action="append",
        help="folder of trajectories, a stage's folder, or a dataset; a folder of several, or the flag again: two of them side by side",
    )
    parser.add_shared("--text_column")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8899, help="port to listen on (8899); 0 takes a free one")
    parser.add_argument(
        "--let-others-read-and-review",
        action="store_true",
        help="needed with another --host: everyone who reaches that address can read the data and write reviews",
    )
    parser.add_shared(
        "--tokenizer", help="name or local folder: counts tokens where the folder has no counts (else characters / 4)"
    )
    parser.add_shared("--review", help="file of the reviews (review.jsonl next to the data)")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="the run's calls (ledger.sqlite beside the data)")
    parser.add_argument(
        "--review-sheet",
        type=positive_int,
        metavar="N",
        help="show N blocks in an order that --seed gives, without where they come from, and ask five questions of each",
    )
    parser.add_argument("--seed", type=count, default=0, help="of the sheet (0)")
    parser.add_argument("--export", type=Path, metavar="OUT.html", help="write one self-contained page and exit")
    parser.add_argument("--ids", help="samples to export, such as 0-4,9 (all)")
    parser.add_argument("--query", default="", help="export the samples that contain these words")
    parser.add_argument("--limit", type=int, help="maximum number of samples to export")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if not _is_local(args.host) and not args.let_others_read_and_review:
        raise UserError(
            f"--host {args.host} lets everyone who reaches that address read the data and write reviews: "
            "allow it with --let-others-read-and-review, or use an ssh tunnel to 127.0.0.1"
        )
    if not 0 <= args.port <= 65535:
        raise UserError(f"--port {args.port} is not a port: name one from 0 to 65535")
    from threadweaver.viewer import runs
    from threadweaver.viewer.gauge import Gauge

    found = runs.find_all(args.root, args.text_column)
    if len(found) > 1 and (args.export or args.review):
        names = ", ".join(run.root.name for run in found[:6])
        raise UserError(f"--export and --review are for one run, and --root names {len(found)} ({names}): name one")
    gauge = Gauge(_tokenizer(args.tokenizer))
    if args.export:
        return export(found[0], gauge, args)
    return serve(found, gauge, args)


def _tokenizer(name: str | None):
    if name is None:
        return None
    from threadweaver.corpus.tokenizer import load_tokenizer

    return load_tokenizer(name)


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(found, gauge, args) -> int:
    import socket

    import uvicorn

    from threadweaver.viewer import app, several, sheet

    exposed_as = None if _is_local(args.host) else args.host
    if args.review_sheet:
        application = sheet.build(found, gauge, args.review_sheet, args.seed, args.review, exposed_as)
    elif len(found) > 1:
        application = several.build(found, gauge, exposed_as, args.ledger)
    else:
        application, _ = app.build(found[0], gauge, args.review, exposed_as, args.ledger)
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((args.host, args.port))
    except OSError as error:
        raise UserError(
            f"port {args.port} of {args.host} is not available ({error.strerror}): name another --port"
        ) from None
    listener.listen(512)
    shown = f"[{args.host}]" if ":" in args.host else args.host
    name = found[0].root.name if len(found) == 1 else f"{len(found)} runs"
    print(f"{name}: http://{shown}:{listener.getsockname()[1]}/  (Ctrl-C to stop)", flush=True)
    config = uvicorn.Config(
        application, log_level="error", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def export(run, gauge, args) -> int:
    from threadweaver.files import write_atomic
    from threadweaver.viewer import about, export, queries
    from threadweaver.viewer.database import Database, location
    from threadweaver.viewer.indexing import Indexer
    from threadweaver.viewer.reviews import Reviews
    from threadweaver.viewer.table import Query

    indexer = Indexer(run, gauge, Database(location(run.root)))
    indexer.start()
    until = time.monotonic() + INDEX_LIMIT
    while not indexer.status.complete and not indexer.status.fault and time.monotonic() < until:
        time.sleep(0.05)
    if indexer.status.fault:
        raise UserError(f"{run.root} cannot be read completely: {indexer.status.fault}")
    kept = Reviews(args.review or run.review_file)
    ids = _chosen(queries.Lists(indexer, kept).ids(Query(text=args.query)), args.ids)[: args.limit]
    if not ids:
        raise UserError("no sample is selected: name others with --ids or --query")
    if len(ids) > about.EXPORT_LIMIT:
        raise UserError(
            f"{len(ids)} samples are selected, one page holds {about.EXPORT_LIMIT}: choose with --ids, --query or --limit"
        )
    write_atomic(args.export, export.page(run, indexer, kept, ids))
    indexer.stop()
    print(f"{len(ids)} samples → {args.export} ({args.export.stat().st_size / 1e6:.1f} MB)")
    return 0


def _chosen(ids: list[str], wanted: str | None) -> list[str]:
    """Return the ids that a list like `0-4,9` names, in its order; raises UserError for one that does not exist."""
    if wanted is None:
        return ids
    names: dict[str, None] = {}
    for item in filter(None, (part.strip() for part in wanted.split(","))):
        low, dash, high = item.partition("-")
        if dash and low.isdigit() and high.isdigit() and item not in ids:
            names |= dict.fromkeys(id for id in ids if id.isdigit() and int(low) <= int(id) <= int(high))
        elif item in ids:
            names[item] = None
        else:
            raise UserError(f"no sample {item} (--ids): name others")
    return list(names)


if __name__ == "__main__":
    run_command(main)
