"""Recognize what the columns of a source hold, from the values of its first rows and the words of their names.

The table of `shapes` is all that is known about sets of others. Values decide: a name only ever chooses among columns whose
values fit, and two columns that could both be meant and differ are refused, never chosen between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from threadweaver.corpus.columns import Column, columns_of, cuts_of, said_by, tagged, texts_of, words_of
from threadweaver.corpus.instructions import shared_instruction
from threadweaver.corpus.reading import ChainColumn, MarkColumn, Reading
from threadweaver.corpus.references import reference, same_answer
from threadweaver.corpus.shapes import (
    ANSWER,
    AVERAGES,
    CHOICES,
    FILL,
    LONG,
    MARK,
    NAMED,
    ORIGINS,
    OUTPUT,
    OWN,
    OWN_OUTPUT,
    PROBLEM,
    PROMPT,
    ROLES,
    SOLUTION,
    STRICT_MARKS,
    Shape,
)
from threadweaver.corpus.thinking import after_thinking, unwrap
from threadweaver.corpus.turns import is_conversation, last_exchange, reference_of
from threadweaver.corpus.values import Path, at, parse_path, path_text


class Unrecognized(ValueError):
    """A source whose columns cannot be told apart; the text says which, and how to name them."""


class NoChains(Unrecognized):
    """A source of problems without chains."""


def recognize(rows: Sequence[Mapping], given: Mapping[str, str] | None = None) -> Reading:
    """Return how the rows of a source are read, from its first `rows`; `given` overrules it by role (`--map`).

    Raises Unrecognized when the columns cannot be told apart.
    """
    columns = columns_of(rows)
    named = _given(given or {}, columns, rows)
    finder = _Finder(columns, named, own=all(row.keys() >= OWN for row in rows))
    chains = finder.chains()
    problems = finder.problems(chains)
    if not chains:
        raise finder.without_chain(problems)
    if not problems:
        raise finder.refuse("no problem is recognized", chain=path_text(chains[0][0].path))
    references = finder.references(chains)
    reading = Reading(
        tuple(tuple(finder.with_others(column, family, references) for column in family) for family in chains),
        problems,
        references,
        finder.choices(),
        tuple((role, path) for role, words in ORIGINS if (path := finder.origin(words))),
    )
    return replace(reading, instruction=shared_instruction(_problems(reading, rows)))


def recognize_problems(rows: Sequence[Mapping]) -> Reading:
    """Return how the problems of a source without chains are read; raises Unrecognized when there are none."""
    finder = _Finder(columns_of(rows), {})
    problems = finder.problems(())
    if not problems:
        raise finder.refuse("no column is known to be the problem")
    return Reading((), problems, finder.references(()))


def _problems(reading: Reading, rows: Sequence[Mapping]) -> list[str]:
    found = []
    for row in rows:
        try:
            found.append(reading.problem(row))
        except (ValueError, TypeError):
            continue
    return found


def _given(given: Mapping[str, str], columns: Sequence[Column], rows: Sequence[Mapping]) -> dict[str, tuple[Path, ...]]:
    """Return the paths that `--map` names by role; none for a role that is given as empty."""
    names = [column.name for column in columns]
    named: dict[str, tuple[Path, ...]] = {}
    for role, text in given.items():
        path = parse_path(text, [str(key) for row in rows[:1] for key in row]) if text else None
        if path and not any(at(row, path) is not None for row in rows):
            raise Unrecognized(
                f"--map {role}={text} names nothing in the first {len(rows)} rows (columns: {', '.join(names)})"
            )
        named[role] = (path,) if path else ()
    return named


class _Finder:
    """Which columns fill which role, among the columns of one source; `named` holds the roles that are given, and
    `own` says that these are rows that were collected before.
    """

    def __init__(self, columns: Sequence[Column], named: Mapping[str, tuple[Path, ...]], own: bool = False):
        self.columns, self.named, self.own = columns, named, own

    # ---- chains

    def chains(self) -> list[tuple[ChainColumn, ...]]:
        if "chain" in self.named:
            return [(ChainColumn(path, plain=True),) for path in self.named["chain"]]
        families = self._families(cuts_of)
        sets = [_sets(family) for family in families]
        kept: list[int] = []
        most = [-sum(map(len, found.values())) for found in sets]
        bare = [
            all(plain and not self._output_columns(column.path, ()) for column, plain in found) for found in families
        ]
        for number in sorted(range(len(families)), key=lambda number: (most[number], bare[number])):
            clash = next((other for other in kept if not _within(sets[number], sets[other])), None)
            if clash is not None:
                raise self.refuse(
                    "two columns could be the chain: "
                    + " and ".join(families[k][0][0].name for k in sorted((clash, number))),
                    chain=families[min(clash, number)][0][0].name,
                )
            if not any(sets[number].keys() <= sets[other].keys() for other in kept):
                kept.append(number)
        return (
            [tuple(ChainColumn(column.path, plain) for column, plain in families[number]) for number in kept]
            or self._long()
            or self._unreadable()
        )

    def _unreadable(self) -> list[tuple[ChainColumn, ...]]:
        """Return columns in which thinking is begun, or empty, but cannot be separated in any row: each row says why."""
        families = self._families(tagged)
        return [tuple(ChainColumn(column.path, plain) for column, plain in family) for family in families[:1]]

    def _families(self, holds: Callable[[object], object]) -> list[list[tuple[Column, bool]]]:
        """Return the columns that hold chains, with those together that differ in a number or the name of a model."""
        families: dict[object, list[tuple[Column, bool]]] = {}
        for column in self.columns:
            plain = not column.about and column.is_texts and not column.is_label and NAMED.heads & set(column.words)
            if not plain and not any(map(holds, column.values.values())):
                continue
            role = frozenset(column.words) & (NAMED.heads | OWN_OUTPUT.heads)
            key = (bool(plain), role) if role and not column.is_turns else column.path
            families.setdefault(key, []).append((column, bool(plain)))
        return list(families.values())

    def _long(self) -> list[tuple[ChainColumn, ...]]:
        found = [
            column for column in self.columns if set(column.words) == LONG.heads and column.is_text and column.is_long
        ]
        beside = [column for column in self.columns if ANSWER.names(column) and not column.is_prose]
        return [(ChainColumn(column.path, plain=True),) for column in found[:1] if beside]

    def without_chain(self, problems: Sequence[Path]) -> Unrecognized:
        """Return why there is no chain: these are problems alone, or nothing says which column it is."""
        texts = [
            column
            for column in self._free(problems)
            if not column.is_label and (column.could_be_chain or SOLUTION.names(column))
        ]
        if problems and not texts:
            return NoChains("no chain, these are problems alone: make chains with src/generate_trajectories.py first")
        longest = max(texts, key=lambda column: sum(map(len, column.texts())), default=None)
        return self.refuse(
            "no chain is recognized (for problems alone, src/generate_trajectories.py makes chains)",
            chain=longest.name if longest else "COLUMN",
        )

    def _free(self, problems: Sequence[Path]) -> list[Column]:
        roles = (ANSWER, *((PROBLEM, PROMPT) if problems else ()))
        return [
            column
            for column in self.columns
            if column.path not in problems and not column.about and not any(shape.names(column) for shape in roles)
        ]

    # ---- problems

    def problems(self, chains: Sequence[Sequence[ChainColumn]]) -> tuple[Path, ...]:
        if "problem" in self.named:
            return self.named["problem"]
        used = {column.path for family in chains for column in family}
        talks = [column for column in self.columns if column.is_turns and any(_asked(column).values())]
        texts = [
            column
            for column in self.columns
            if column.path not in used and not column.about and column.is_text and not column.is_label
        ]
        for shape in (PROBLEM, PROMPT):
            named = [column for column in texts if shape.names(column)]
            if shape is PROMPT and len(named) > 1:
                named = self._without_constants(named)
            if named or (shape is PROMPT and talks):
                return tuple(column.path for column in self._agreeing([*named, *talks], _asked, "problem"))
        return ()

    @staticmethod
    def _without_constants(columns: list[Column]) -> list[Column]:
        """Leave out an instruction that is the same in all rows."""
        varying = [c for c in columns if len(c.values) < 2 or len(set(c.texts())) > 1]
        return varying or columns

    def _agreeing(self, columns: list[Column], texts, role: str) -> list[Column]:
        """Return columns so that the barest comes first; raises Unrecognized when two say different things."""
        said = {column.path: texts(column) for column in columns}
        ordered = sorted(columns, key=lambda column: _total(said[column.path], said.values()))
        for column in ordered[1:]:
            first = said[ordered[0].path]
            for number, text in said[column.path].items():
                if text and first.get(number) and "".join(first[number].split()) not in "".join(text.split()):
                    raise self.refuse(f"two columns could be the {role}: {ordered[0].name} and {column.name}")
        return ordered

    # ---- references

    def references(self, chains: Sequence[Sequence[ChainColumn]]) -> tuple[Path, ...]:
        if "reference" in self.named or self.own:
            return self.named.get("reference", (("solution",),))
        used = {column.path for family in chains for column in family}
        free = [
            column for column in self.columns if column.path not in used and not column.is_turns and not column.about
        ]
        inside = [column for column in self.columns if column.is_turns and any(map(reference_of, column.talks()))]
        answers = [column for column in free if ANSWER.names(column)]
        short = [column for column in answers if not column.is_prose]
        worked = [column for column in answers if column.is_prose]
        solutions = [column for column in free if SOLUTION.names(column)]
        short += [column for column in solutions if not column.is_prose and not short]
        if not short and worked and not solutions and not inside and not self._outputs(chains, worked):
            raise self.refuse(
                f"{worked[0].name} holds sentences: it could be the output of the chain or the reference",
                output=worked[0].name,
            )
        self._refuse_two(short)
        return tuple(dict.fromkeys(column.path for column in [*short, *inside, *worked, *solutions]))

    def _outputs(self, chains: Sequence[Sequence[ChainColumn]], but: list[Column]) -> bool:
        """Whether the chains have outputs of their own."""
        taken = tuple(column.path for column in but)
        return all(
            not column.plain or self.with_others(column, family, taken).outputs
            for family in chains
            for column in family
        )

    def _refuse_two(self, columns: Sequence[Column]) -> None:
        for number, first in enumerate(columns):
            for second in columns[number + 1 :]:
                for row in first.values.keys() & second.values.keys():
                    values = [reference(column.values[row]) for column in (first, second)]
                    if None not in values and not same_answer(*values):
                        raise self.refuse(
                            f"two columns could be the reference: {first.name} and {second.name}", reference=first.name
                        )

    # ---- what belongs to a chain

    def with_others(self, chain: ChainColumn, family: Sequence[ChainColumn], references: Sequence[Path]) -> ChainColumn:
        """Return the column of a chain together with those of its outputs and marks."""
        who = _who(chain.path)
        owners = {_who(column.path) for column in family}
        return replace(chain, outputs=self._output_paths(chain, references), marks=self._mark_columns(who, owners))

    def _output_paths(self, chain: ChainColumn, references: Sequence[Path]) -> tuple[Path, ...]:
        if "output" in self.named:
            return self.named["output"]
        found = self._output_columns(chain.path, references)
        self._agreeing([column for column in found if column.is_text], _answered, "output")
        talks = [column for column in self.columns if column.is_turns and column not in found and any(_replied(column))]
        return tuple(column.path for column in [*found, *talks] if column.path != chain.path)

    def _output_columns(self, path: Path, references: Sequence[Path]) -> list[Column]:
        """Return the columns that are named like the output of the chain at a path."""
        who = _who(path)
        shape = OWN_OUTPUT if who else OUTPUT
        return [
            column
            for column in self.columns
            if column.path not in (path, *references)
            and len(column.path) == len(path)
            and shape.names(column, who)
            and who <= set(column.words)
            and (column.is_texts or column.is_turns)
            and not column.is_label
            and not (not who and PROMPT.names(column))
        ]

    def _mark_columns(self, who: frozenset[str], owners: set[frozenset[str]]) -> tuple[MarkColumn, ...]:
        if "correct" in self.named:
            return tuple(MarkColumn(path, average=True) for path in self.named["correct"])
        own, general = [], []
        for column in self.columns:
            words = column.words
            is_mark = words and (words[0] in MARK.heads or words[-1] in MARK.heads) and not ANSWER.names(column)
            if not is_mark or column.about:
                continue
            strict = bool(set(words) & STRICT_MARKS)
            if not strict and not column.is_marks:
                continue
            found = MarkColumn(column.path, strict, bool(set(words) & AVERAGES))
            owner = frozenset(words) - MARK.heads - MARK.words - AVERAGES
            (own if owner == who else general if owner not in owners else []).append(found)
        return tuple(own if who and own else [*own, *general])

    def choices(self) -> Path | None:
        """Return where the choices of a problem are: a list of texts, or a struct from letters to texts."""
        ends = [column.path[: len(column.path) - inside] for column in self.columns for inside in (0, 1)]
        return next((path for path in ends if path and CHOICES >= set(words_of(str(path[-1]))) != set()), None)

    def origin(self, words: frozenset[str]) -> Path | None:
        found = [column for column in self.columns if set(column.words) <= words and column.is_text]
        return min(found, key=lambda column: len(column.path)).path if found else None

    # ---- refusing

    def refuse(self, why: str, **known: str) -> Unrecognized:
        """Return a refusal with the columns seen and a `--map` to start from."""
        start = {"problem": self._first(PROBLEM) or self._first(PROMPT) or "COLUMN", "chain": "COLUMN"} | known
        answer = self._first(ANSWER)
        if answer and answer not in start.values():
            start.setdefault("reference", answer)
        ordered = {role: start[role] for role in ROLES if role in start}
        line = ",".join(f"{role}={name}" for role, name in ordered.items())
        names = ", ".join(column.name for column in self.columns[:30])
        return Unrecognized(f"{why}: say which with --map {line} (columns: {names})")

    def _first(self, shape: Shape) -> str | None:
        named = [column for column in self.columns if shape.names(column) and not column.about]
        return named[0].name if named else None


# ---- what the columns say


def _who(path: Path) -> frozenset[str]:
    """Return the words of a chain's column that say whose it is: its model, its number."""
    return frozenset(words_of(str(path[-1]))) - NAMED.heads - OWN_OUTPUT.heads - FILL - {"generation", "generations"}


def _sets(family: Sequence[tuple[Column, bool]]) -> dict[int, set[str]]:
    """Return for every row the chains that a family of columns holds."""
    found: dict[int, set[str]] = {}
    for column, plain in family:
        for number, value in column.values.items():
            chains = set(cuts_of(value)) or ({text.strip() for text in texts_of(value)} if plain else set())
            if chains:
                found.setdefault(number, set()).update(chains)
    return found


def _within(inner: Mapping[int, set[str]], outer: Mapping[int, set[str]]) -> bool:
    """Whether one family holds nothing that the other does not hold, in the rows that both fill."""
    return all(chains <= outer[number] for number, chains in inner.items() if number in outer)


def _asked(column: Column) -> dict[int, str]:
    """Return the problem that each row of a column asks."""
    return {
        number: said_by(last_exchange(value).question).text if is_conversation(value) else str(value)
        for number, value in column.values.items()
    }


def _answered(column: Column) -> dict[int, str]:
    """Return what follows the thinking in each text of a column."""
    return {number: unwrap(after_thinking(str(value)) or "") for number, value in column.values.items()}


def _replied(column: Column) -> list[str]:
    return [said_by(last_exchange(value).answer).text for value in column.talks()]


def _total(said: Mapping[int, str], others: Iterable[Mapping[int, str]]) -> tuple[int, int]:
    """Return how much a column says in the rows that all fill, to find the barest; then how many rows it fills."""
    shared = set.intersection(*(set(other) for other in others)) if others else set()
    return sum(len(said[number]) for number in shared), -len(said)
