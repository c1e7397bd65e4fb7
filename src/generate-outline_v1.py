"""Stage 4: write the outlines that announce the threads of each block.

Reads   stage 3: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.txt, <output>/trace/<i>.json and .txt
Calls   the annotator: with a model, one call per block (per twelve threads of it), all blocks of a sample at once
Exits   0; 1 too many failed; 2 something to fix, reported in one line; 130 stopped
Example python src/generate-outline_v1.py --annotator rules --input data/sample_24samples_step3_v1_v1 --output data/sample_24samples_step4_v1_v1_v1
"""

from __future__ import annotations

import os

from threadweaver.annotators import registry as annotators
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.given import Given
from threadweaver.runs.stages import STAGES
from threadweaver.stages import outlining
from threadweaver.stages.asking import run_asking
from threadweaver.stages.traced import traced_names


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input")
    parser.add_shared("--output", help="folder of the trajectories with outlines")
    parser.add_shared("--glob")
    parser.add_shared("--ctx_lines")
    parser.add_shared("--max_samples", help="samples to outline, from the first on (all)")
    parser.add_argument(
        "--keep-telling",
        action="store_true",
        help="also keep a block in which, after a second request, an outline still gives away a result of its thread "
        "(otherwise the block becomes sequential again: that outline could not have been written before the thread); "
        "both are counted",
    )
    parser.add_obsolete("--trace", nargs="?")
    annotators.add_flags(parser, "outlines")
    parser.add_stage_flags()
    return parser


STAGE = STAGES["outlines"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    names = traced_names(given, args.glob)[: args.max_samples]
    annotator = annotators.build(args, "outlines")
    options = outlining.OutlineOptions(args.ctx_lines, args.keep_telling)
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.input, args.output),
        "ctx_lines": args.ctx_lines,
        "keep_telling": args.keep_telling,
        **annotator.settings(),
    }
    return run_asking(
        STAGE,
        args,
        annotator,
        lambda traced: outlining.outline(traced, annotator, options),
        given,
        names,
        settings=settings,
        partial=args.max_samples is not None or args.glob != "*.txt",
    )


if __name__ == "__main__":
    run_command(main)
