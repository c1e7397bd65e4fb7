"""Convert a set of parallel reasoning from one dialect into another: Multiverse, DC-CoT, NPR, Parallel-R1, ours.

Reads   a parquet, .jsonl or folder (--dataset), one text per row in --text_column
Writes  <output>/train.parquet: uuid, question, and the text (into ours: response_reasoning, response_content, as
        stage 5, the viewer and export_dataset.py read them); refused.jsonl: the rows that cannot be converted, with the reason; a card
Calls   nothing
Exits   0; 1 no row could be converted; 2 something to fix, reported in one line
Example python src/convert_dialect.py --from multiverse --to threadweaver --dataset multiverse.parquet --text_column text --output dataset/multiverse_as_ours
"""

from __future__ import annotations

from collections import Counter

from threadweaver.exports import cards, dialects, folder
from threadweaver.exports.conversion import Conversion
from threadweaver.files import write_atomic
from threadweaver.runs.command import run_command, shown_path
from threadweaver.runs.flags import Flags


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--from", dest="source", required=True, choices=list(dialects.READERS), help="dialect to read")
    parser.add_argument("--to", dest="target", required=True, choices=dialects.WRITTEN, help="dialect to write")
    parser.add_shared("--dataset", required=True)
    parser.add_shared("--split", default="train", help="split of --dataset (train)")
    parser.add_shared("--text_column", help="column of the texts (text; of our own dialect response_reasoning)")
    parser.add_shared("--output", help="folder of the converted set")
    parser.add_shared("--overwrite", help="replace a set that was made with other settings")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    column = args.text_column or ("response_reasoning" if args.source == dialects.OURS else "text")
    conversion = Conversion(args.dataset, column, args.split, args.source, args.target)
    if folder.is_whole(args.output, conversion.settings(), overwrite=args.overwrite):
        print(f"{shown_path(args.output)} is as these settings make it")
        return 0
    from threadweaver.corpus.training_rows import schema

    written = folder.write_rows(args.output / "train.parquet", schema(conversion.columns), conversion.rows())
    if conversion.refused:
        folder.write_lines(args.output / "refused.jsonl", conversion.refused)
    print(f"{conversion.read} rows: {written} converted → {shown_path(args.output)}")
    print_counts("refused", Counter(str(row["reason"]) for row in conversion.refused))
    print_counts("lost", conversion.lost)
    if not written:
        return 1
    write_atomic(args.output / folder.CARD, cards.of_conversion(args.output.name, conversion, written))
    return 0


def print_counts(what: str, counts: Counter[str]) -> None:
    if counts:
        print(f"  {what}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    run_command(main)
