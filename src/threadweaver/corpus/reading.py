"""How the rows of one source are read: in which columns the problem, the chains and all that belongs to them are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from threadweaver.corpus.references import is_prose, mark, reference, with_choices
from threadweaver.corpus.thinking import Cut, FailedCut, cut, cut_turn, read_turn, trim, unwrap
from threadweaver.corpus.turns import is_conversation, last_exchange, question_text, reference_of
from threadweaver.corpus.values import OddValue, Path, at, is_blank, odd, path_text, small_extras

NO_THINKING = "no_thinking"


@dataclass(frozen=True, slots=True)
class MarkColumn:
    path: Path
    strict: bool = True
    """A value that is not a mark is a fault; otherwise (a score between 0 and 1) it is ignored."""
    average: bool = False
    """It holds for all chains of the row: 1.0 means that all are right."""


@dataclass(frozen=True, slots=True)
class ChainColumn:
    """A column with a chain, a list of chains, or a conversation that ends with one."""

    path: Path
    plain: bool = False
    """A text without think tags is the chain itself."""
    outputs: tuple[Path, ...] = ()
    """Columns with what follows the chain, where the chain's own text does not."""
    marks: tuple[MarkColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One chain of a row, counted from 0; `fault` says why there is none (a reason code), `detail` where."""

    number: int
    thinking: str = ""
    output: str = ""
    mark: bool | None = None
    fault: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a row holds."""

    problem: str
    reference: object
    traces: tuple[Trace, ...]
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """Paths are tried in order; the first that is filled counts. `chains` are alternatives, too: each is the columns
    of one family (`r1_solution_1` …), all of which are chains of the row.
    """

    chains: tuple[tuple[ChainColumn, ...], ...]
    problems: tuple[Path, ...]
    references: tuple[Path, ...] = ()
    choices: Path | None = None
    origins: tuple[tuple[str, Path], ...] = ()
    """Where the source and the licence of a row are named."""
    instruction: str = ""
    """What precedes the problem in every row: not part of the problem."""

    def contents(self, row: Mapping) -> Contents:
        """Return what a row holds; raises ValueError saying what is missing or cannot be read."""
        problem = self.problem(row)
        traces = self.traces(row)
        if not traces:
            names = ", ".join(path_text(column.path) for family in self.chains for column in family)
            raise ValueError(f"no chain (in {names})")
        extra = small_extras(row, self.used())
        for name, path in self.origins:
            if isinstance(value := at(row, path), str) and value.strip():
                extra.setdefault(name, value)
        return Contents(problem, self.reference(row), traces, extra)

    def problem(self, row: Mapping) -> str:
        """Return the problem of a row; raises ValueError where there is none."""
        for path in self.problems:
            value = at(row, path)
            if is_conversation(value):
                value = question_text(last_exchange(value).question)
            if value is not None and not isinstance(value, str):
                raise odd(value, path, "a text")
            if value and value.strip():
                return value.removeprefix(self.instruction)
        raise ValueError(f"no problem (in {', '.join(map(path_text, self.problems))})")

    def reference(self, row: Mapping) -> object:
        """Return the reference answer, or None."""
        for number, path in enumerate(self.references):
            value = at(row, path)
            found = reference(reference_of(value) if is_conversation(value) else value)
            if number and isinstance(found, str) and is_prose(found):
                continue  # a worked solution without a box, where the set has answers in another column
            if found is not None:
                return with_choices(found, at(row, self.choices)) if self.choices else found
        return None

    def traces(self, row: Mapping) -> tuple[Trace, ...]:
        """Return the chains of a row, of the first family that has one that can be read."""
        tried: tuple[Trace, ...] = ()
        for family in self.chains:
            found: list[Trace] = []
            for column in family:
                found.extend(_traces(column, row, len(found)))
            if any(not trace.fault for trace in found):
                return tuple(found)
            tried = tried or tuple(found)
        return tried

    def used(self) -> set[str]:
        """Return the top-level columns that are read."""
        columns = [column for family in self.chains for column in family]
        paths = [*self.problems, *self.references, *(column.path for column in columns)]
        paths += [path for column in columns for path in (*column.outputs, *(item.path for item in column.marks))]
        return {str(path[0]) for path in paths if len(path) == 1} | {"uuid"}


def _traces(column: ChainColumn, row: Mapping, first: int) -> Iterator[Trace]:
    value = at(row, column.path)
    if value is None or value == []:
        return
    items = _items(value, column.path)
    if len(items) > 1 and any(isinstance(at(row, path), str) for path in column.outputs):
        items = items[:1]  # the one output belongs to the first chain
    for place, item in enumerate(items):
        if item is None:
            continue
        number = first + place
        judged = _mark(column.marks, row, place, len(items))
        output = _output(column.outputs, row, place)
        if isinstance(item, Mapping):
            found: Cut = cut_turn(item)
            if column.plain and isinstance(found, FailedCut) and found.reason == "no_think_tags":
                found = (read_turn(item).text, output)
        else:
            found = _cut_text(item, output, column.plain)
        if isinstance(found, FailedCut):
            yield Trace(number, mark=judged, fault=found.reason, detail=found.detail)
            continue
        thinking, answer = found
        thinking = trim(thinking) if thinking is not item else thinking
        said = unwrap(answer if answer is output else answer.lstrip()) if answer.strip() else output
        fault = "" if thinking.strip() else NO_THINKING
        yield Trace(number, thinking, said, judged, fault)


def _items(value: object, path: Path) -> list:
    """Return the chains of a value as texts or turns, None for those that are missing."""
    if is_conversation(value):
        answer = last_exchange(value).answer
        if answer is None:
            raise ValueError(f"no chain (no assistant's turn in {path_text(path)})")
        return [answer]
    items = list(value) if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, str | Mapping | None):
            raise odd(item, path, "a chain")
    return items


def _cut_text(text: str, output: str, plain: bool) -> Cut:
    """Return chain and output of a text; with `plain`, a text without tags is the chain."""
    found = cut(text)
    if isinstance(found, FailedCut):
        return (text, output) if plain and found.reason == "no_think_tags" else found
    answer = found[1]
    if plain and output.strip() and answer.strip() and unwrap(answer).strip() != output.strip():
        return text, output  # two outputs: the tag is part of the text, and no reader agrees on what it means
    return found


def _output(paths: Sequence[Path], row: Mapping, place: int) -> str:
    """Return the output of the chain at a place in its list; of a text with thinking in it, what follows the thinking."""
    for path in paths:
        value = at(row, path)
        if is_conversation(value):
            answer = last_exchange(value).answer
            found = cut_turn(answer) if answer is not None else FailedCut("")
            value = found[1] if not isinstance(found, FailedCut) else str((answer or {}).get("content") or "")
        if isinstance(value, list):
            value = value[place] if place < len(value) else None
        if value is not None and not isinstance(value, str | int | float):
            raise odd(value, path, "a text")
        if not is_blank(value):
            found = cut(str(value))
            return unwrap(str(value) if isinstance(found, FailedCut) else found[1].lstrip())
    return ""


def _mark(columns: Sequence[MarkColumn], row: Mapping, place: int, chains: int) -> bool | None:
    """Return the mark of the chain at a place in its list of `chains`: right where any column says so."""
    found = []
    for column in columns:
        value = at(row, column.path)
        if isinstance(value, list):
            value = value[place] if place < len(value) and len(value) == chains else None
        elif chains > 1 and not column.average:
            value = None  # it could be the mark of any of them
        try:
            found.append(mark(value))
        except ValueError as error:
            if column.strict:
                raise OddValue(f"column {path_text(column.path)}: {error}") from None
    return True if True in found else False if False in found else None
