"""The stages of a run, in order: the one list that account, viewer, plan and commands read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """`name` is what settings.json calls it."""

    name: str
    title: str
    """Its name in the output of its command and of the plan."""
    passed: str
    """The word for the samples that pass it, in the account."""
    folder: str
    """Its folder, in the words of src/env.sh."""
    step: str
    """Its name in run.sh and of its script: step1 is step1.sh."""
    command: str
    """Its command in src/."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("collect", "collect", "collected", "data/$DIR_NAME", "collect", "collect_trajectories.py"),
        Stage("steps", "step 1 (steps)", "annotated", "data/${BASE_NAME}_step1_$STEP1_VERSION", "step1", "gpt.py"),
        Stage(
            "parallel",
            "step 2 (parallel blocks)",
            "extracted",
            "data/${BASE_NAME}_step2_$STEP2_VERSION",
            "step2",
            "extract_v1.py",
        ),
        Stage(
            "rewrite",
            "step 3 (rewriting)",
            "rewritten",
            "data/${BASE_NAME}_step3_$STEP3_VERSION$SUFFIX",
            "step3",
            "rewrite-context_v1.py",
        ),
        Stage("outlines", "step 4 (outlines)", "outlined", "data/$STEP4_NAME", "step4", "generate-outline_v1.py"),
        Stage(
            "referee", "referee", "judged", "data/${BASE_NAME}_referee_$STEP4_VERSION$SUFFIX", "referee", "referee.py"
        ),
        Stage(
            "filter",
            "step 5 (filter)",
            "accepted",
            "data/$STEP5_NAME",
            "step5",
            "filter-format-correct-and-obtain-stats.py",
        ),
        Stage("save", "save", "saved", "dataset/${BASE_NAME}_${dataset_suffix#_}", "save", "save_dataset.py"),
    )
}
