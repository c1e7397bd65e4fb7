"""The problems of tests/engine/loop.sh: made by a seed, right, and held out."""

import re
import sys
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent / "engine" / "loop"))
import problems
from problems import KINDS, VOICES, Size, draw

SIZES = (Size(), Size((2, 2), (2, 5)), Size((5, 5), (7, 10)))


def made(kind, size, held=False, count=50):
    drawn = Random(7)
    return [kind(drawn, size, held) for _ in range(count)]


def form_of(question):
    """A question without its numbers and names."""
    thing = "|".join(word for words in problems.THINGS for word in words)
    return {
        re.sub(rf"\d+|\b[A-F]\b|(?i:{thing})|largest|smallest|most|fewest|two|three|four", "_", part)
        for part in question.split(". ")
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_addition_is_right_and_the_answer_follows(kind, size):
    for one in made(kind, size):
        text = "\n".join(line for part in one.parts for line in part.steps)
        sums = re.findall(r"(\d+) \+ (\d+) = (\d+)\.", text)
        assert sums and all(int(a) + int(b) == int(c) for a, b, c in sums)
        assert one.closing.endswith(f" is {one.answer}.")


def parts_in(one):
    """What the question says of each part, by the names of the parts: one sentence each."""
    sentences = re.split(r"(?<=[.?]) ", one.question)
    return [next(s for s in sentences if re.search(rf"(?i:{part.name})\b", s)) for part in one.parts]


def number_in(sentence, before, after):
    """The number of a sentence that the words around it mean."""
    found = re.search(rf"(?i:{before}) (\d+)|(\d+) (?i:{after})", sentence)
    return int(found[1] or found[2])


def start_and_step(sentence):
    """The two numbers of a sentence whose other numbers are gone."""
    step = number_in(
        sentence, "adds?|gets|gains|by|steps of|each step(?: of robot .)? is|each of its steps is", "(?:a|each) day"
    )
    first, second = map(int, re.findall(r"\d+", sentence))
    return (first, second) if second == step else (second, first)


CASES = pytest.mark.parametrize(("size", "held"), [(size, held) for size in SIZES for held in (False, True)])


@CASES
def test_savings_are_those_of_the_question(size, held):
    for one in made(problems.savings, size, held):
        ends = []
        for sentence in parts_in(one):
            days = number_in(sentence, "never", "days")
            start, step = start_and_step(re.sub(r"\d+ days", "", sentence))
            ends.append(start + step * days)
        assert int(one.answer) == (max(ends) if "largest" in one.question else min(ends))


@CASES
def test_walks_end_where_the_question_says(size, held):
    for one in made(problems.walks, size, held):
        limit = int(re.search(r"over (\d+)", one.question)[1])
        counts = []
        for start, step in map(start_and_step, parts_in(one)):
            counts.append(next(n for n in range(1, 99) if start + n * step > limit))
        assert int(one.answer) == (max(counts) if "most" in one.question else min(counts))


@CASES
def test_one_robot_lands(size, held):
    for one in made(problems.landings, size, held):
        target = int(re.search(r"(?:lands on|robot is at) (\d+)", one.question)[1])
        rows = map(start_and_step, parts_in(one))
        good = [
            name for name, (start, step) in zip(problems.LETTERS, rows, strict=False) if (target - start) % step == 0
        ]
        assert good == [one.answer]


def test_a_seed_makes_the_same_and_nothing_twice():
    seen = set()
    first, again = draw(200, "a", Size(), False, seen), draw(200, "a", Size(), False, set())
    assert first == again and len(seen) == 200
    assert not {one.question for one, _ in draw(200, "b", Size(), False, seen)} & {one.question for one, _ in first}


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_wordings_are_not_trained_on(kind):
    trained = set().union(*(form_of(one.question) for one in made(kind, Size(), count=400)))
    for one in made(kind, Size(), held=True):
        assert not form_of(one.question) & trained


@pytest.mark.parametrize("voice", dict.fromkeys(VOICES))
def test_a_voice_says_all_of_the_work(voice):
    for kind in KINDS:
        for one in made(kind, Size(), count=5):
            text = "\n".join(voice(one))
            assert all(line in text for part in one.parts for line in (*part.steps, part.given, part.found))
