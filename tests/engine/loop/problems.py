"""Problems that a very small model can learn, with chains of thought: made by a seed, in several wordings and voices.

A problem has three or four parts of different lengths: quantities to compare, cases to count, candidates to check. All
of it is copying, adding one digit and comparing. The chains are written as a careful person writes; nothing here knows
what becomes of them.

Usage   python tests/engine/loop/problems.py OUTPUT [--train 4000] [--held-out 100] [--self 300] [--seed 0]
Writes  OUTPUT/train.parquet, same.parquet (seen wordings), wordings.parquet (unseen), longer.parquet (more and longer
        parts), self.parquet; OUTPUT/chains.jsonl (chains of train.parquet), language.jsonl (further chains, for the base model)
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LETTERS = "ABCDEF"
THINGS = (
    ("jar", "jars", "coins"),
    ("shelf", "shelves", "books"),
    ("tank", "tanks", "fish"),
    ("team", "teams", "points"),
    ("park", "parks", "trees"),
    ("bag", "bags", "stones"),
)
NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


@dataclass(frozen=True, slots=True)
class Made:
    """A problem, its answer, and the work of its parts."""

    question: str
    answer: str
    opening: str
    parts: tuple[Part, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name, what is given, its steps, and what was found."""

    name: str
    given: str
    steps: tuple[str, ...]
    found: str


@dataclass(frozen=True, slots=True)
class Size:
    """How many parts a problem has, and about how many steps a part."""

    parts: tuple[int, int] = (3, 4)
    steps: tuple[int, int] = (3, 8)


LONGER = Size((5, 5), (7, 10))
"""Held out: what is trained on has five parts, or so many steps, but never both."""
LANGUAGE = {
    "language": (Size(), 0.4),
    "short": (Size((2, 2), (2, 5)), 0.4),
    "more parts": (Size((5, 5), (2, 4)), 0.1),
    "more steps": (Size((2, 2), (7, 10)), 0.1),
}
"""What the base model is trained on: sizes, and the share of each."""


def comma(numbers: Sequence[int | str]) -> str:
    return ", ".join(map(str, numbers))


def additions(start: int, step: int, count: int, label: str) -> tuple[str, ...]:
    """Return the lines that add `step` to `start` again and again; `label` numbers them."""
    values = range(start, start + step * count, step)
    return tuple(f"{label} {n}: {value} + {step} = {value + step}." for n, value in enumerate(values, 1))


def closing(parts: Sequence[Part], which: str, answer: object) -> str:
    """Return the last paragraph: what the parts have found, and the answer."""
    return f"{sentence_case(comma([part.found for part in parts]))}. The {which} is {answer}."


def parts_of(forms: Sequence[str], drawn: random.Random, names: Sequence[str], rows: Sequence[Sequence[int]]) -> str:
    """Return the sentences that say what is given of each part, all in one form: {0} is the name, then come the numbers."""
    form = drawn.choice(forms)
    return " ".join(sentence_case(form.format(name, *row)) for name, row in zip(names, rows, strict=True))


def in_order(drawn: random.Random, *orders: Sequence[str]) -> str:
    """Return the pieces of a question in one of the orders that are possible."""
    return " ".join(filter(None, drawn.choice(orders)))


# ---------------------------------------------------------------------------------------------------------------
# kinds of problems: each returns a problem; `held` asks for the wordings that are held out


SAVINGS = (
    "{0} has {1} ITEMS and gets {2} each day for {3} days.",
    "{0} has {1} and gets {2} for {3} days.",
    "{0}: {1} ITEMS, add {2} each day, {3} days.",
    "{0} begins with {1} ITEMS and gains {2} a day for {3} days.",
    "{0} starts at {1} and grows by {2} each day, {3} days long.",
    "for {3} days {0} gets {2} ITEMS each day, and it began with {1}.",
    "{0} gets {2} each day, {3} days long, from {1} on.",
    "{0}, {3} days: add {2} each day to the first {1} ITEMS.",
    "add {2} ITEMS to {0} each day for {3} days, it had {1} before.",
    "now {0} has {1} ITEMS, and it gains {2} each day for {3} days.",
    "the {1} ITEMS of {0} grow by {2} each day for {3} days.",
    "{0} gains {2} ITEMS a day in {3} days and has {1} at first.",
)
SAVINGS_HELD = ("{0} gets {2} ITEMS each day for {3} days and has {1} now.",)


def savings(drawn: random.Random, size: Size, held: bool) -> Made:
    """Quantities: what each jar holds after its days; the largest or the smallest is asked for."""
    thing, things, items = drawn.choice(THINGS)
    count = drawn.randint(*size.parts)
    rows = [(drawn.randint(1, 9), drawn.randint(2, 9), drawn.randint(*size.steps)) for _ in range(count)]
    ends = [start + step * days for start, step, days in rows]
    which, answer = ("largest", max(ends)) if drawn.random() < 0.5 else ("smallest", min(ends))
    names = [f"{thing} {LETTERS[n]}" for n in range(count)]
    data = parts_of(SAVINGS_HELD if held else SAVINGS, drawn, names, rows).replace("ITEMS", items)
    opening = drawn.choice(("", f"There are {NUMBER_WORDS[count]} {things}.", f"Look at these {things}."))
    asks = (
        f"What is the {which} number of {items}?",
        f"Which number is the {which}?",
        f"Give the {which} number.",
        f"Find the {which} number of {items} at the end.",
        f"How many {items} are the {which} number?",
    )
    ask = drawn.choice(asks)
    question = in_order(drawn, (opening, data, ask), (opening, data, ask), (ask, data))
    if held:
        question = f"Find the {which} number of {items} in these {things}. {data}"
    parts = tuple(
        Part(name, f"{start}, add {step}, {days} days", additions(start, step, days, "Day"), f"{name} has {end}")
        for name, (start, step, days), end in zip(names, rows, ends, strict=True)
    )
    opening = drawn.choice((f"I work out each {thing} by itself.", f"The {things} are worked out one by one."))
    return Made(question, str(answer), f"{opening} Then I take the {which}.", parts, closing(parts, which, answer))


WALKS = (
    "from {0} add {2} each step.",
    "take {0} and add {2}.",
    "for {0} add {2} each step.",
    "{0}: steps of {2}.",
    "start with {0} and go up by {2}.",
    "add {2} to {0} each step.",
    "the walk from {0} adds {2} each step.",
    "steps of {2} begin at {0}.",
    "each step adds {2} if {0}.",
    "a walk begins with {0}, and each of its steps is {2}.",
    "go up by {2} each time from {0}.",
    "{0} grows by {2} each step.",
)
WALKS_HELD = ("with {0} each step is {2}.",)


def walks(drawn: random.Random, size: Size, held: bool) -> Made:
    """Cases: how many steps each start needs to get over a limit; the most or the fewest are asked for."""
    count = drawn.randint(*size.parts)
    limit = drawn.randint(3 * size.steps[1], 4 * size.steps[1])
    rows = [(start, drawn.randint(3, 9)) for start in sorted(drawn.sample(range(1, 10), count))]
    counts = [(limit - start) // step + 1 for start, step in rows]
    which, answer = ("most", max(counts)) if drawn.random() < 0.5 else ("fewest", min(counts))
    names = [f"n = {start}" for start, _ in rows]
    data = parts_of(WALKS_HELD if held else WALKS, drawn, names, rows)
    rules = (
        f"Add until you are over {limit}.",
        f"Each walk ends when it is over {limit}.",
        f"Stop when you are over {limit}.",
        f"The end of these walks is the first number over {limit}.",
    )
    asks = (
        f"How many steps has the walk with the {which} steps?",
        f"What are the {which} steps?",
        f"Give the {which} steps.",
        f"What is the {which} number of steps?",
        f"Count the steps of each walk and give the {which}.",
    )
    rule, ask = drawn.choice(rules), drawn.choice(asks)
    question = in_order(drawn, (rule, data, ask), (rule, data, ask), (data, rule, ask), (ask, rule, data))
    if held:
        question = f"What are the {which} steps of these walks? {data} A walk ends when it is over {limit}."
    parts = []
    for name, (start, step), steps in zip(names, rows, counts, strict=True):
        given, found = f"add {step}, over {limit}", f"{name} has {steps} steps"
        lines = (*additions(start, step, steps, "Step"), f"{start + step * steps} is over {limit}.")
        parts.append(Part(name, given, lines, found))
    opening = drawn.choice(("I follow each walk by itself.", "The walks are followed one by one."))
    opening = f"{opening} Then I take the {which}."
    return Made(question, str(answer), opening, tuple(parts), closing(parts, which, answer))


LANDINGS = (
    "{0} begins at {1} and adds {2}.",
    "{0}: begin at {1}, add {2}.",
    "{0} has {1} and adds {2} each step.",
    "{0} starts with {1} and goes up by {2}.",
    "from {1} {0} goes up by {2} each step.",
    "{0} takes steps of {2} from {1} on.",
    "{0} goes up by {2} each step, and {1} is its first number.",
    "add {2} each step for {0}, it begins with {1}.",
    "at {1} begins {0}, and each step adds {2}.",
    "each step of {0} is {2}, and it is at {1} now.",
    "{0}: {1}, then add {2} each time.",
    "{0}: steps of {2}, begin with {1}.",
)
LANDINGS_HELD = ("{0} adds {2} and begins at {1}.",)


def landings(drawn: random.Random, size: Size, held: bool) -> Made:
    """Checks: which robot lands on a number; one of them does."""
    count = drawn.randint(*size.parts)
    target = drawn.randint(3 * size.steps[1], 4 * size.steps[1])
    fits, misses = [], []
    for start in range(1, 10):
        for step in range(3, 10):
            (misses if (target - start) % step else fits).append((start, step))
    rows = [*drawn.sample(misses, count - 1), drawn.choice(fits)]
    drawn.shuffle(rows)
    names = [f"robot {LETTERS[n]}" for n in range(count)]
    good = next(n for n, row in enumerate(rows) if row in fits)
    data = parts_of(LANDINGS_HELD if held else LANDINGS, drawn, names, rows)
    rules = (
        f"A robot is good if it lands on {target}.",
        f"The good robot lands on {target}.",
        f"One of these robots lands on {target}, it is the good robot.",
        f"A good robot is at {target} when it ends.",
    )
    rule = drawn.choice(rules)
    ask = drawn.choice(
        ("Which robot is good?", "Give the good robot.", "Find the good robot.", "Which is the good one?")
    )
    question = in_order(drawn, (rule, data, ask), (rule, data, ask), (data, rule, ask), (ask, rule, data))
    if held:
        question = f"Which robot lands on {target}? {data}"
    parts = []
    for name, (start, step) in zip(names, rows, strict=True):
        steps = -((start - target) // step)
        end = start + step * steps
        found = f"{name} is good" if end == target else f"{name} is bad"
        lines = (*additions(start, step, steps, "Step"), f"{end} is {'' if end == target else 'over '}{target}.")
        parts.append(Part(name, f"{start}, add {step}, to {target}", lines, found))
    opening = drawn.choice((f"I check each robot for {target}.", "The robots are checked one by one."))
    return Made(question, LETTERS[good], opening, tuple(parts), closing(parts, "good robot", LETTERS[good]))


KINDS: tuple[Callable[[random.Random, Size, bool], Made], ...] = (savings, walks, landings)


# ---------------------------------------------------------------------------------------------------------------
# voices: ways to write the same work down


def sentence_case(text: str) -> str:
    """Return the text with a capital letter at the beginning of each sentence."""
    return ". ".join(piece[:1].upper() + piece[1:] for piece in text.split(". "))


def in_cases(made: Made) -> list[str]:
    return [
        f"Case {number}: {part.name}. Given {part.given}. {' '.join(part.steps)} So {part.found}."
        for number, part in enumerate(made.parts, 1)
    ]


def in_bold(made: Made) -> list[str]:
    return [
        "\n".join([f"**{sentence_case(part.name)}**", f"Given {part.given}.", *part.steps, f"So {part.found}."])
        for part in made.parts
    ]


def in_parts(made: Made) -> list[str]:
    return [
        f"**Part {LETTERS[number]}:** {part.name}\nGiven {part.given}. {' '.join(part.steps)}\nSo {part.found}."
        for number, part in enumerate(made.parts)
    ]


def in_prose(made: Made) -> list[str]:
    leads = ["First", *["Then"] * (len(made.parts) - 2), "Last"]
    return [
        f"{lead} {part.name}. Given {part.given}. {' '.join(part.steps)} So {part.found}."
        for lead, part in zip(leads, made.parts, strict=True)
    ]


VOICES = (in_cases, in_cases, in_bold, in_parts, in_parts, in_prose)


def chain(made: Made, drawn: random.Random) -> str:
    return "\n\n".join([made.opening, *drawn.choice(VOICES)(made), made.closing])


# ---------------------------------------------------------------------------------------------------------------
# files


def draw(count: int, seed: str, size: Size, held: bool, seen: set[str]) -> list[tuple[Made, str]]:
    """Return `count` problems that are not in `seen`, with a chain each; they are added to it."""
    drawn, made = random.Random(seed), []
    while len(made) < count:
        one = drawn.choice(KINDS)(drawn, size, held)
        if one.question not in seen:
            seen.add(one.question)
            made.append((one, chain(one, drawn)))
    return made


def write_problems(path: Path, made: Sequence[tuple[Made, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rows = [
        {
            "data_source": "loop",
            "prompt": [{"role": "user", "content": one.question}],
            "reward_model": {"ground_truth": one.answer, "style": "rule"},
        }
        for one, _ in made
    ]
    parquet.write_table(pa.Table.from_pylist(rows), path)


def write_chains(path: Path, name: str, made: Sequence[tuple[Made, str]]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for number, (one, thinking) in enumerate(made):
            turn = f"<think>\n{thinking}\n</think>\nThe answer is \\boxed{{{one.answer}}}."
            row = {"uuid": f"{name}-{number}", "problem": one.question, "response": turn, "solution": one.answer}
            file.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--train", type=int, default=4000, help="problems whose chains the pipeline gets (4000)")
    parser.add_argument("--language", type=int, default=20000, help="further chains, for the base model (20000)")
    parser.add_argument("--held-out", type=int, default=100, help="problems of each held-out part (100)")
    parser.add_argument("--self", type=int, default=300, help="problems for self-training (300)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    held_out = {"same": (Size(), False), "wordings": (Size(), True), "longer": (LONGER, False)}
    for name, (size, held) in held_out.items():  # drawn first: what is trained on is none of them
        write_problems(args.output / f"{name}.parquet", draw(args.held_out, f"{name}/{args.seed}", size, held, seen))
    write_problems(args.output / "self.parquet", draw(args.self, f"self/{args.seed}", Size(), False, seen))
    train = draw(args.train, f"train/{args.seed}", Size(), False, seen)
    write_problems(args.output / "train.parquet", train)
    write_chains(args.output / "chains.jsonl", "loop", train)
    further = []
    for name, (size, share) in LANGUAGE.items():
        further += draw(round(args.language * share), f"{name}/{args.seed}", size, False, seen)
    write_chains(args.output / "language.jsonl", "language", further)


if __name__ == "__main__":
    main()
