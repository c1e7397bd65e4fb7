"""Edits of a trajectory, and how to undo them.

Replacements are parsed from a model's reply, applied where their `src` occurs literally and once, and recorded so that
undoing them gives the text back. A sample's `Lineage` is kept next to its text in every stage's trace and is all that is
needed to restore the chain from the trajectory, character for character.
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
