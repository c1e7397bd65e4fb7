"""Bundle a dataset with the recipe that it was made with, and push it to the hub, private by default.

Reads   a dataset that save_dataset.py wrote (--dataset), the stages of its run, the prompts, a ledger (--ledger); for --repo a token
        of the hub: HF_TOKEN, or that of `hf auth login`
Writes  <output>/: the files of the dataset with their cards, recipe/ with settings, prompts and, with --ledger, the replies to
        this run's questions; datasets.load_dataset takes the folder. With --repo the same as a dataset on the hub
Calls   the hub, with --repo only
Exits   0; 2 something to fix, reported in one line
Example python src/publish.py --dataset dataset/sample_12samples_v111 --output dataset/sample_12samples_published --ledger data/ledger.sqlite
"""

from __future__ import annotations

from pathlib import Path

from threadweaver.runs.command import run_command, shown_path
from threadweaver.runs.flags import Flags

PROMPTS = Path(__file__).resolve().parents[1] / "prompt"


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the folder that save_dataset.py wrote")
    parser.add_shared("--output", help="folder of the bundle")
    parser.add_argument("--repo", metavar="USER/NAME", help="also push the bundle to this dataset of the hub")
    parser.add_argument("--public", action="store_true", help="make the dataset on the hub public (private)")
    parser.add_argument("--ledger", type=Path, help="publish the replies to this run's questions, too")
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="folder of the run's prompts (prompt)")
    parser.add_shared("--overwrite", help="replace a bundle of another dataset")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    from threadweaver.exports import bundle, folder, hub

    if folder.is_whole(args.output, bundle.settings_of(args.dataset, args.ledger), overwrite=args.overwrite):
        print(f"{shown_path(args.output)} is the bundle of this dataset")
    else:
        made = bundle.build(args.dataset, args.output, args.prompts, args.ledger)
        replies = "" if made.replies is None else f", {made.replies} replies"
        print(f"{made.files} files of {shown_path(args.dataset)}{replies} → {shown_path(args.output)}")
    if args.repo:
        print(
            f"pushed: {hub.push(args.output, args.repo, public=args.public)} ({'public' if args.public else 'private'})"
        )
    return 0


if __name__ == "__main__":
    run_command(main)
