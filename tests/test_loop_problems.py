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


@pytest.mark.parametrize("size", SIZES)
def test_savings_are_those_of_the_question(size):
    for one in made(problems.savings, size):
        rows = re.findall(r"[A-F](?: has|:) (\d+)\D+(\d+)\D+(\d+) days", one.question)
        ends = [int(a) + int(b) * int(c) for a, b, c in rows]
        assert len(ends) == len(one.parts)
        assert int(one.answer) == (max(ends) if "largest" in one.question else min(ends))


@pytest.mark.parametrize("size", SIZES)
def test_walks_end_where_the_question_says(size):
    for one in made(problems.walks, size):
        limit = int(re.search(r"over (\d+)", one.question)[1])
        counts = []
        for start, step in re.findall(r"n = (\d+) (?:and )?add (\d+)", one.question):
            counts.append(next(n for n in range(1, 99) if int(start) + n * int(step) > limit))
        assert len(counts) == len(one.parts)
        assert int(one.answer) == (max(counts) if "most" in one.question else min(counts))


@pytest.mark.parametrize("size", SIZES)
def test_one_robot_lands(size):
    for one in made(problems.landings, size):
        target = int(re.search(r"lands on (\d+)", one.question)[1])
        rows = re.findall(r"([A-F])(?: begins at|: begin at| has) (\d+)\D+(\d+)", one.question)
        good = [name for name, start, step in rows if target in range(int(start), target + 1, int(step))]
        assert len(rows) == len(one.parts) and good == [one.answer]


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
