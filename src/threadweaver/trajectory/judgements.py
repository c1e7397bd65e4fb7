"""A reader's judgements of blocks and threads: answers to five questions, as the viewer's review file holds them.

`judged` maps a place to answers: `2` is block 2, `2.1` its first thread. Every answer can be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from threadweaver.trajectory.findings import OUTLINE, WORTH

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "independent": ("yes", "no"),
    "wording": ("yes", "no"),
    "sensible": ("yes", "no"),
    "worth": WORTH,
    "outline": OUTLINE,
}
"""Answers by question. independent: it can be written without its siblings; wording: no words point at them; sensible:
a good place to branch; worth: of the work that runs in parallel; outline: as in `findings`."""
OF_THREADS = ("independent", "wording", "outline")
"""The questions that are also asked about single threads."""
MOST_PLACES = 2_000
_PLACE = re.compile(r"[1-9]\d{0,3}(?:\.[1-9]\d{0,3})?")

Judged = Mapping[str, Mapping[str, str]]


def read(value: object) -> dict[str, dict[str, str]]:
    """Return judgements as they are kept; an empty answer is left out. Raises ValueError for anything else."""
    if not isinstance(value, Mapping) or len(value) > MOST_PLACES:
        raise ValueError("judged must map places, such as 2 or 2.1, to answers")
    found = {}
    for place, answers in value.items():
        if not _PLACE.fullmatch(str(place)) or not isinstance(answers, Mapping):
            raise ValueError(f"{str(place)[:20]!r} is not a block or a thread of one (2 or 2.1), with answers")
        asked = OF_THREADS if "." in place else QUESTIONS
        for question, answer in answers.items():
            if question not in asked or answer not in ("", *QUESTIONS[question]):
                raise ValueError(f"{str(answer)[:20]!r} is no answer to {str(question)[:20]!r} about {place}")
        if kept := {question: answers[question] for question in asked if answers.get(question)}:
            found[str(place)] = kept
    return dict(sorted(found.items(), key=lambda item: [int(number) for number in item[0].split(".")]))


def merged(before: Judged, changes: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the judgements after changes; an empty answer withdraws one. Raises ValueError."""
    places = {**before, **{place: {**before.get(place, {}), **answers} for place, answers in changes.items()}}
    return read(places)
