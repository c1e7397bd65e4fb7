"""Repeats: the same computation done again for another object, paragraph by paragraph in the same form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.endings import LIKEWISE
from threadweaver.annotators.rules.independence import first_lean, leans
from threadweaver.annotators.rules.shaping import MAX_THREADS, MIN_INFORMATION, accept

MAX_PERIOD = 10  # units of one passage
_READ = 300  # characters of a unit that tell its form
_LEAST = 0.36  # likeness of every unit to its counterpart; others come to 0.3
_MEAN = 0.55  # likeness of a passage to the next
_EDGE = 0.8  # of the others' likeness: a passage at either end with less is not of the run
_LISTED = 2  # repeats from which on they are one list
_OPENING_DOUBT = 6  # characters: "Wait, for two opposite edges …" only sets out
_FIGURES = re.compile(r"\d[\d.,]*")
_SPACED = str.maketrans(
    {**{mark: f" {mark} " for mark in "=≡≈<>≤≥+-*/^²³×·÷"}, **dict.fromkeys("(){}[]$,;.:!?|&_", " "), "\\": " \\"}
)
_CLOSING = 60  # characters that hold the result of a passage
_OPENING = 80  # and those that say what the next one starts from
_NAME = re.compile(r"(?<![A-Za-z\\])[A-Za-z]+(?: |_)?\(?\d+\)?")
_LEFT_SIDE = re.compile(rf"({_NAME.pattern})\s*[=≈:]")
_FIGURE = re.compile(r"\d+(?:[.,/]\d+)*")
_DOUBTS = re.compile(r"\b(?:wait|hmm+|hold on|maybe|perhaps)\b", re.IGNORECASE)
_VERDICT = re.compile(
    r"[=≈≡<>≤≥]|\\(?:in|equiv|approx|[gl]eq?|[gl]e)\b|\b(?:correct|works?|valid|not|no|yes|impossible|fails?|is|are) ?\d*\b",
    re.IGNORECASE,
)
_TURNS_TO = re.compile(
    r"\W*(?:\d{1,2}[.)]\s|(?:similarly|likewise|next|now|second|third|fourth|finally|also|if|when|for|case|from|consider"
    r"|take|the (?:next|second|third|last|other))\b)",
    re.IGNORECASE,
)
_PROMISES = re.compile(
    r"[?:,]\s*$|\b(?:let me|let's (?!call|denote|name|label)|i need to|we need to)\b[^.]*\.?\s*$", re.IGNORECASE
)


def repeat_blocks(chain: Chain) -> list[Block]:
    """The blocks of every run of passages of one form; they may overlap."""
    forms = _forms(chain)
    found = []
    for threads in _runs(chain, forms):
        block = _block(chain, threads)
        found += [block] if block else []
    return found


def _forms(chain: Chain) -> list[int]:
    """Each unit as a set of pairs of neighbouring tokens, names and figures alike, as bits of a number."""
    known: dict[tuple[str, str], int] = {}
    forms = []
    for unit in chain.units:
        spaced = unit.text[:_READ].lower().translate(_SPACED)
        words = [
            "^",
            *("x" if len(word) == 1 and word.isalpha() else word for word in _FIGURES.sub("0", spaced).split()),
        ]
        form = 0
        for pair in pairwise(words):
            form |= 1 << known.setdefault(pair, len(known))
        forms.append(form)
    return forms


def _runs(chain: Chain, forms: Sequence[int]) -> Iterator[list[Span]]:
    """Runs of two and more neighbouring passages, each like the one before it unit by unit."""
    sizes = [form.bit_count() for form in forms]
    told = [False] * len(forms)  # in a run of a shorter period: what repeats there repeats in any multiple of it
    for period in range(1, MAX_PERIOD + 1):
        likeness = [
            0.0
            if told[at] or told[at + period]
            else 2 * (one & two).bit_count() / (sizes[at] + sizes[at + period] or 1)
            for at, (one, two) in enumerate(zip(forms, forms[period:], strict=False))
        ]
        start = 0
        while start < len(likeness):
            end = start
            while end < len(likeness) and likeness[end] >= _LEAST:
                end += 1
            run = _run(chain, likeness, start, end, period) if end > start else []
            if run:
                yield run
                if len(run) > _LISTED:
                    told[run[0].first : run[-1].last + 1] = [True] * (run[-1].last + 1 - run[0].first)
            start = end + 1


def _run(chain: Chain, likeness: Sequence[float], start: int, end: int, period: int) -> list[Span]:
    """The passages from `start` on, whose units are like those one period later up to `end`."""
    if start and end - start == period - 1 and LIKEWISE.match(chain.units[start - 1 + period].text):
        start -= 1  # the first words differ: "Consider the first." and "Similarly, for the second"
    means = [sum(likeness[at : at + period]) / period for at in range(start, end - period + 1, period)]
    while len(means) > 1 and means[0] < _EDGE * sum(means[1:]) / (len(means) - 1):
        means, start = means[1:], start + period
    while len(means) > 1 and means[-1] < _EDGE * sum(means[:-1]) / (len(means) - 1):
        means.pop()
    if not means or sum(means) < _MEAN * len(means):
        return []
    count = min(len(means) + 1, MAX_THREADS)
    return [Span(start + number * period, start + (number + 1) * period - 1) for number in range(count)]


def _block(chain: Chain, threads: Sequence[Span]) -> Block | None:
    sizes = chain.sizes(threads)
    if sum(sizes) - max(sizes) < MIN_INFORMATION or threads[-1].last >= len(chain.units) - 1:
        return None
    if sum(len(_DOUBTS.findall(chain.text_of(span), _OPENING_DOUBT)) for span in threads) > 1:
        return None
    if len({chain.opens_way(span.first) for span in threads}) > 1:
        return None
    if not all(_sets_out(chain, threads[0], span) for span in threads[1:]):
        return None
    ends = [chain.units[span.last].text for span in threads]
    if any(_PROMISES.search(end) or not _VERDICT.search(end) for end in ends):
        return None
    for position in range(1, len(threads)):
        if _hands_on(chain, threads[position - 1], threads[position]):
            return None
        if first_lean(leans(chain, threads[:position], threads[position])) is not None:
            return None
    return accept(chain, "repeat", threads)


def _sets_out(chain: Chain, first: Span, span: Span) -> bool:
    """Whether a passage says that it turns to another object; the steps of one derivation are alike too."""
    one, other = chain.skeleton(first.first), chain.skeleton(span.first)
    named = one is not None and other is not None and one[0] == other[0] and one[1] != other[1]
    return named or chain.head(span.first) is not None or bool(_TURNS_TO.match(chain.units[span.first].text))


def _hands_on(chain: Chain, before: Span, here: Span) -> bool:
    """Whether a passage opens with a figure that the one before it came to, or works with what it names."""
    first, second = chain.text_of(before), chain.text_of(here)
    figures = _FIGURE.findall(chain.units[before.last].text[-_CLOSING:])
    results = {figure for figure in figures if len(figure) > 1} | set(figures[-1:])
    problem = set(_FIGURE.findall(chain.text[: chain.base]))
    taken = results & set(given_figures(second)) - set(given_figures(first)) - problem
    named = set(_LEFT_SIDE.findall(first))
    used = [name for name in _NAME.findall(second) if name in named]
    return bool(taken) or any(name not in _LEFT_SIDE.findall(second) for name in used)


def given_figures(text: str) -> list[str]:
    """The figures that a passage starts from: those of its first words, without the result of a computation."""
    first, *others = re.split("[=≈≡]", text[:_OPENING].split("\n", 1)[0])
    return _FIGURE.findall(" ".join([first, *(others[:-1] if len(others) > 1 else others)]))
