"""What was changed in a text, and how to undo it.

Replacements are read from a model's reply, applied where their `src` occurs literally and once, and recorded so that
undoing them gives the text back. `Record` is the lineage of one sample: kept beside the text in every stage's trace,
it is all that is needed to restore the chain from the trajectory, character for character.
"""

from threadweaver.trajectory.edits.apply import Applied, ConservationError, Edit, Skipped, apply, undo
from threadweaver.trajectory.edits.lineage import (
    BlockLineage,
    Lineage,
    ThreadLineage,
    Unused,
    fingerprint,
    restore,
    restore_block,
)
from threadweaver.trajectory.edits.parse import Replacement, UnreadableReply, parse_reply

__all__ = [
    "Applied",
    "BlockLineage",
    "ConservationError",
    "Edit",
    "Lineage",
    "Replacement",
    "Skipped",
    "ThreadLineage",
    "UnreadableReply",
    "Unused",
    "apply",
    "fingerprint",
    "parse_reply",
    "restore",
    "restore_block",
    "undo",
]
