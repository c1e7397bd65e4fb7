"""Referee: a model that did not write the annotation judges the blocks, between stages 4 and 5.

Reads   stage 4: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.json: what each thread takes from its siblings, whether its work is new, its outline's verdict
Calls   the model, once per block, all blocks of a sample at once
Exits   0; 1 too many failed; 2 something to fix, reported in one line; 130 stopped
Example python src/referee.py --openai_model gpt-5-mini --plan --input data/sample_24samples_step4_v1_v1_v1 --output data/sample_24samples_referee_v1_v1_v1
"""

from __future__ import annotations

import os

from threadweaver.annotators import registry as annotators
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.given import Given
from threadweaver.runs.stages import STAGES
from threadweaver.stages import refereeing
from threadweaver.stages.asking import run_asking
from threadweaver.stages.traced import traced_names


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input")
    parser.add_shared("--output", help="folder of the findings")
    parser.add_shared("--glob")
    parser.add_shared("--max_samples", help="samples to judge, from the first on (all)")
    annotators.add_referee_flags(parser)
    parser.add_stage_flags()
    return parser


STAGE = STAGES["referee"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    names = traced_names(given, args.glob)[: args.max_samples]
    referee = annotators.build_referee(args)
    settings = {"stage": STAGE.name, "input": os.path.relpath(args.input, args.output), **referee.settings()}
    return run_asking(
        STAGE,
        args,
        referee,
        lambda traced: refereeing.judge(traced, referee),
        given,
        names,
        settings=settings,
        partial=args.max_samples is not None or args.glob != "*.txt",
    )


if __name__ == "__main__":
    run_command(main)
