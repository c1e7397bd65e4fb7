"""The errors of the pipeline: one that a user can cause and fix, and one that is a single sample's."""

from __future__ import annotations

import os


class SampleFault(Exception):
    """What is wrong with one sample: its failure, with a reason code and a detail. The others continue."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self):
        return SampleFault, (self.reason, str(self))


class UserError(Exception):
    """An error that the user can fix. Its text is one line: what is wrong and what to do.

    Commands print it on stderr and exit with status 2; nothing written before it is lost.
    """


def setting(flag: str, variable: str) -> str:
    """Return what a message names: the flag of a command or, where run.sh or a step script started it, their
    variable."""
    return variable if runs_in_a_chain() else flag


def runs_in_a_chain() -> bool:
    """Return whether run.sh or a step script started this command."""
    return bool(os.environ.get("THREADWEAVER_STARTED_IN"))
