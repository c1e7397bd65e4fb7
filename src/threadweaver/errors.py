"""The one kind of error that a user can cause and mend."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right. Its text is one line that says what is wrong and what to do.

    Commands print it on stderr and exit 2; nothing that was written before it is lost.
    """
