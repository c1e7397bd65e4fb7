"""What was changed in a text, and how to undo it.

Replacements are read from a model's reply, applied where their `src` occurs literally and once, and recorded so that
undoing them gives the text back. `Record` is the lineage of one sample: kept beside the text in every stage's trace,
it is all that is needed to restore the chain from the trajectory, character for character.
"""

from threadweaver.edits.applying import Applied, ConservationError, Edit, Skipped, apply, undo
from threadweaver.edits.reading import Replacement, UnreadableReply, parse_reply
from threadweaver.edits.record import BlockRecord, Record, ThreadRecord, Unused, fingerprint, restore, restore_block

__all__ = [
    "Applied",
    "BlockRecord",
    "ConservationError",
    "Edit",
    "Record",
    "Replacement",
    "Skipped",
    "ThreadRecord",
    "UnreadableReply",
    "Unused",
    "apply",
    "fingerprint",
    "parse_reply",
    "restore",
    "restore_block",
    "undo",
]
