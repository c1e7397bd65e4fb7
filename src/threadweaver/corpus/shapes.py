"""The shapes in which sets of others hold problems, chains, outputs, references and marks: all that is known of them.

To make another set known, add the words of its column names here; `tests/readme_parts.py` writes the table of
src/README.md from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from threadweaver.corpus.columns import Column

ROLES = ("problem", "chain", "output", "reference", "correct")


@dataclass(frozen=True, slots=True)
class Shape:
    """One way in which a role is filled: `words` of which a column's name consists (`heads`: of which it needs one),
    what its `values` have to be, and `sets` that do it so. `rank`: a lower one is preferred where both are filled.
    """

    role: str
    values: str
    heads: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    rank: int = 0
    sets: str = ""

    def names(self, column: Column, others: Iterable[str] = ()) -> bool:
        found = set(column.words) - set(others)
        return bool(found & self.heads) and found <= self.heads | self.words


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILL = _words("response content model text generated step by long full raw")

TURNS = Shape(
    "chain",
    "a conversation whose last assistant's turn has thinking in it: in tags, fields or parts",
    sets="Mixture-of-Thoughts, OpenThoughts, Bespoke-Stratos, AM-DeepSeek-R1, SYNTHETIC-1-SFT, Nemotron v2",
)
TAGGED = Shape(
    "chain",
    "a text, or a list of texts, with thinking in tags or channels, under any name",
    sets="OpenR1-Math, OpenMathReasoning, DeepMath, SYNTHETIC-1 and 2, Nemotron v1.1, glaive",
)
NAMED = Shape(
    "chain",
    "a text, or a list of texts, without tags",
    _words(
        "thinking reasoning think thought thoughts cot analysis rationale trajectory trajectories trace traces chain"
    ),
    FILL,
    sets="s1K, s1K-1.1, OpenThoughts metadata, Multiverse, Multilingual-Thinking",
)
LONG = Shape(
    "chain",
    "a text of over 2,000 characters (median) beside an answer, where nothing else could be the chain",
    _words("solution"),
    sets="LIMO",
)
PROBLEM = Shape(
    "problem",
    "a text, or a conversation of which the user's last turn counts",
    _words("problem question"),
    _words("text statement math original raw content body"),
    sets="OpenR1-Math, s1K, LIMO, DeepMath",
)
PROMPT = Shape(
    "problem",
    "the same, where no column says problem or question",
    _words("prompt instruction query user input task"),
    _words("text content user"),
    rank=1,
    sets="SYNTHETIC-1, Polaris, glaive, Nemotron v1.1",
)
ANSWER = Shape(
    "reference",
    "a short answer, a number, a list of accepted answers, also as JSON text",
    _words("answer answers truth gold reference target"),
    _words("ground expected final correct true standard label"),
    sets="OpenR1-Math, LIMO, DeepMath, OpenMathReasoning, Polaris",
)
SOLUTION = Shape(
    "reference",
    "a worked solution, of which the last box counts, or an answer",
    _words("solution"),
    _words("gold ground truth standard reference final correct"),
    rank=1,
    sets="s1K, OpenThoughts metadata, SYNTHETIC-1",
)
OUTPUT = Shape(
    "output",
    "what follows the chain, where the chain's own text does not",
    _words("output outputs response responses completion completions attempt attempts final content reply"),
    FILL,
    sets="s1K, Multiverse, Multilingual-Thinking",
)
OWN_OUTPUT = Shape(
    "output", "the same, with the name of the chain's model", OUTPUT.heads | _words("solution answer"), FILL
)
MARK = Shape(
    "correct",
    "yes and no, true and false, 1 and 0, correct and wrong; one for each chain where it is a list",
    _words("correct correctness right verified passed grade grades score scores reward rewards valid"),
    _words("is was"),
    sets="OpenR1-Math, s1K-1.1, SYNTHETIC-1, Multiverse",
)
SHAPES = (TURNS, TAGGED, NAMED, LONG, PROBLEM, PROMPT, ANSWER, SOLUTION, OUTPUT, OWN_OUTPUT, MARK)
STRICT_MARKS = _words("correct correctness")
AVERAGES = _words("avg average mean")
CHOICES = _words("choices options")
ORIGINS = (("source", _words("source data dataset origin")), ("licence", _words("license licence")))
OWN = {"thinking", "output", "solution", "correctness"}
"""Columns of our own collected rows, which keep the reference in `solution`."""
