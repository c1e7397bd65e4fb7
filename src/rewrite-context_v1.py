"""Stage 3: rewrite the threads so that none depends on a sibling, with as few changes as possible.

Reads   stage 2: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.txt, <output>/trace/<i>.json and .txt (with every edit)
Calls   the annotator: with a model, one call per block (per twelve threads of it), all blocks of a sample at once
Exits   0; 1 too many failed; 2 something to fix, reported in one line; 130 stopped
Example python src/rewrite-context_v1.py --annotator rules --input data/sample_24samples_step2_v1 --output data/sample_24samples_step3_v1_v1
"""

from __future__ import annotations

import os

from threadweaver.annotators import registry as annotators
from threadweaver.independence import CONFIDENT
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.given import Given
from threadweaver.runs.stages import STAGES
from threadweaver.stages import rewriting
from threadweaver.stages.asking import run_asking
from threadweaver.stages.traced import traced_names


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input")
    parser.add_shared("--output", help="folder of the rewritten trajectories")
    parser.add_shared("--glob")
    parser.add_shared("--max-leak", default=CONFIDENT)
    parser.add_obsolete("--trace", nargs="?")
    annotators.add_flags(parser, "edits")
    parser.add_stage_flags()
    return parser


STAGE = STAGES["rewrite"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    names = traced_names(given, args.glob)
    annotator = annotators.build(args, "edits")
    options = rewriting.RewriteOptions(args.max_leak)
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.input, args.output),
        "max_leak": args.max_leak,
        **annotator.settings(),
    }
    return run_asking(
        STAGE,
        args,
        annotator,
        lambda traced: rewriting.rewrite(traced, annotator, options),
        given,
        names,
        settings=settings,
        partial=args.glob != "*.txt",
    )


if __name__ == "__main__":
    run_command(main)
