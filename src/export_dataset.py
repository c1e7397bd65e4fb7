"""Export a saved dataset for a trainer: TRL, axolotl, LLaMA-Factory, verl, OpenRLHF, as units, or as trees of contexts.

Reads   a dataset that save_dataset.py wrote (--dataset): sample_<k>/train.parquet and val_<m>/val.parquet
Writes  <output>/train.parquet (and val.parquet) in the columns of the trainer, RECIPE.md, the settings that it names, tokenizer/ with
        the ten tags, a card; left_out.jsonl: the rows that cannot be exported, with the reason
Calls   nothing
Exits   0; 1 some rows were left out, or all; 2 something to fix, reported in one line
Example python src/export_dataset.py --for trl --tokenizer data/sample/tokenizer --dataset dataset/sample_24samples_v111 --output dataset/sample_for_trl
"""

from __future__ import annotations

from collections import Counter

from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER
from threadweaver.exports import folder, trainers
from threadweaver.runs.command import run_command, shown_path
from threadweaver.runs.flags import Flags


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument(
        "--for", dest="name", required=True, choices=list(trainers.EXPORTS), help="who reads the export"
    )
    parser.add_shared("--dataset", required=True, help="the folder that save_dataset.py wrote")
    parser.add_shared("--tokenizer", default=DEFAULT_TOKENIZER)
    parser.add_shared("--output", help="folder of the export")
    parser.add_shared("--overwrite", help="replace an export that was made with other settings")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    from threadweaver.corpus.tokenizer import load_tokenizer
    from threadweaver.exports.exporting import LEFT_OUT, Exporter

    exporter = Exporter(args.dataset, trainers.EXPORTS[args.name], load_tokenizer(args.tokenizer), args.output)
    shown = shown_path(args.output)
    if folder.is_whole(args.output, exporter.settings(), overwrite=args.overwrite):
        print(f"{shown} is as these settings make it")
        return 1 if (args.output / LEFT_OUT).is_file() else 0
    written = exporter.write()
    print(f"{exporter.read} rows of {shown_path(args.dataset)}: {written} rows for {args.name} → {shown}")
    if exporter.left_out:
        reasons = Counter(str(row["reason"]) for row in exporter.left_out)
        print("  left out: " + ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items())))
        print(f"  each with its reason: {shown_path(args.output / LEFT_OUT)}")
    if written:
        print(f"How to train on it:  {shown_path(args.output / 'RECIPE.md')}")
    return 1 if exporter.left_out or not written else 0


if __name__ == "__main__":
    run_command(main)
