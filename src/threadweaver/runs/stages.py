"""The stages of a run, in order: the one list that account, viewer, plan and commands read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """`name` is what settings.json calls it."""

    name: str
    title: str
    """What its command and the plan call it."""
    passed: str
    """What the samples that pass it are called in the account."""
    folder: str
    """Its folder, in the words of src/env.sh."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("collect", "collect", "collected", "data/$DIR_NAME"),
        Stage("steps", "step 1 (steps)", "annotated", "data/${BASE_NAME}_step1_$STEP1_VERSION"),
        Stage("parallel", "step 2 (parallel blocks)", "extracted", "data/${BASE_NAME}_step2_$STEP2_VERSION"),
        Stage("rewrite", "step 3 (rewriting)", "rewritten", "data/${BASE_NAME}_step3_$STEP3_VERSION$SUFFIX"),
        Stage("outlines", "step 4 (outlines)", "outlined", "data/$STEP4_NAME"),
        Stage("filter", "step 5 (filter)", "accepted", "data/$STEP5_NAME"),
        Stage("save", "save", "saved", "dataset/${BASE_NAME}_${dataset_suffix#_}"),
    )
}
