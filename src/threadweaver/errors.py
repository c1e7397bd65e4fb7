"""The one kind of error that a user can cause and fix."""

from __future__ import annotations


class UserError(Exception):
    """An error that the user can fix. Its text is one line: what is wrong and what to do.

    Commands print it on stderr and exit with status 2; nothing written before it is lost.
    """
