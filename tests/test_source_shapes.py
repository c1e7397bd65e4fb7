"""What public sets hold is read rightly from every shape, every file kind and every convention, and never guessed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from source_rows import CHAIN
from source_shapes import SHAPES, asked, chain, limo, open_thoughts, openr1, said, thought, turns
from threadweaver.corpus.schemas import NoChains, Unrecognized, recognize
from threadweaver.corpus.sources import SourceOptions, open_source, read_contents
from threadweaver.corpus.values import clip
from threadweaver.errors import UserError


def lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def table(rows: list[dict], delimiter: str) -> bytes:
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(names)
    for row in rows:
        values = (row.get(name) for name in names)
        writer.writerow([json.dumps(v) if isinstance(v, list | dict) else "" if v is None else v for v in values])
    return out.getvalue().encode()


def to_parquet(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def to_arrow(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    made = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(out, made.schema) as writer:
        writer.write_table(made)
    return out.getvalue()


KINDS = {
    "rows.jsonl": lines,
    "rows.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "rows.jsonl.gz": lambda rows: gzip.compress(lines(rows)),
    "rows.jsonl.zst": lambda rows: zstd(lines(rows)),
    "rows.json.xz": lambda rows: lzma.compress(json.dumps(rows).encode()),
    "rows.parquet": to_parquet,
    "rows.arrow": to_arrow,
    "rows.csv": lambda rows: table(rows, ","),
    "rows.tsv": lambda rows: table(rows, "\t"),
}


def check(name: str, path: Path) -> None:
    """Compare everything that is read of two rows with what the shape holds."""
    _, marks, referenced = SHAPES[name]
    source = open_source(path)
    for row in source.rows():
        n = row.index
        read = read_contents(row, source.reading)
        found = [trace for trace in read.traces if not trace.fault]
        assert read.problem == asked(n)
        assert (None if read.reference is None else str(read.reference)) == (str(n + 5) if referenced else None)
        assert [trace.mark for trace in found] == marks[n]
        for k, trace in enumerate(found):
            expected = (limo(n)["solution"], "") if name == "LIMO" else (chain(n, k), said(n, k))
            assert (trace.thinking.strip(), trace.output.strip()) == (expected[0].strip(), expected[1])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", ["rows.jsonl", "rows.parquet", "rows.csv"])
def test_every_shape_is_read_rightly(tmp_path, name, kind):
    path = tmp_path / kind
    path.write_bytes(KINDS[kind]([SHAPES[name][0](n) for n in range(2)]))
    check(name, path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["OpenR1-Math", "OpenThoughts", "s1K-1.1"])
def test_every_kind_of_file_gives_the_same(tmp_path, name, kind):
    path = tmp_path / kind
    path.write_bytes(KINDS[kind]([SHAPES[name][0](n) for n in range(2)]))
    check(name, path)


def test_columns_in_another_order_and_null_columns_change_nothing(tmp_path):
    for name, (make, _, _) in SHAPES.items():
        rows = [{"thinking": None, "gold": None, **dict(reversed(make(n).items()))} for n in range(2)]
        if name in ("DeepMath", "SYNTHETIC-2", "s1K-1.1"):  # the order of the columns is that of the chains
            continue
        path = tmp_path / "rows.jsonl"
        path.write_bytes(lines(rows))
        check(name, path)


HARMONY = (
    f"<|channel|>analysis<|message|>{chain(0)}<|end|><|start|>assistant<|channel|>final<|message|>{said(0)}<|return|>"
)
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": chain(0)}]}, {"type": "text", "text": said(0)}]
CONVENTIONS = {
    "think": thought(0),
    "closing only": thought(0).removeprefix("<think>\n"),
    "begin_of_thought": open_thoughts(0)["conversations"][1]["value"],
    "kimi": thought(0).replace("<think>", "◁think▷").replace("</think>", "◁/think▷"),
    "mistral": thought(0).replace("<think>", "[THINK]").replace("</think>", "[/THINK]"),
    "seed": thought(0).replace("think>", "seed:think>"),
    "answer tags": thought(0).replace(said(0), f"<answer>{said(0)}</answer>"),
    "harmony": HARMONY,
}
TURNS = {
    "parts": {"content": PARTS},
    "reasoning_content": {"content": said(0), "reasoning_content": chain(0)},
    "reasoning": {"content": said(0), "reasoning": chain(0)},
    "thinking": {"content": said(0), "thinking": chain(0)},
} | {name: {"content": text} for name, text in CONVENTIONS.items()}


@pytest.mark.parametrize("turn", TURNS)
def test_every_convention_is_read_in_a_turn(turn):
    row = {"messages": [{"role": "user", "content": asked(0)}, {"role": "assistant", **TURNS[turn]}]}
    [trace] = recognize([row]).contents(row).traces
    assert (trace.thinking.strip(), trace.output) == (chain(0), said(0))


@pytest.mark.parametrize("text", CONVENTIONS)
@pytest.mark.parametrize("many", [False, True])
def test_every_convention_is_read_in_a_text_and_in_a_list_under_any_name(text, many):
    row = {"question": asked(0), "zzz": [CONVENTIONS[text]] * 2 if many else CONVENTIONS[text]}
    traces = recognize([row]).contents(row).traces
    assert [(trace.thinking.strip(), trace.output) for trace in traces] == [(chain(0), said(0))] * (1 + many)


def test_a_chain_that_is_never_closed_is_none_and_the_next_one_is_taken():
    row = openr1(1) | {"generations": [f"<think>{chain(1)}", thought(1, 1)], "messages": None}
    traces = recognize([row]).contents(row).traces
    assert [(trace.fault, bool(trace.thinking)) for trace in traces] == [("not_closed", False), ("", True)]


def test_of_several_turns_the_last_answer_counts_with_its_own_question():
    row = {"messages": [*turns(0), *turns(1, said(1))]}
    reading = recognize([row, {"messages": turns(1)}])
    read = reading.contents(row)
    assert read.problem == asked(1) and [trace.fault for trace in read.traces] == ["no_think_tags"]


@pytest.mark.parametrize(
    ("given", "reference"),
    [
        ({"answer": '["5", "five"]'}, ["5", "five"]),
        ({"answer": "[0, 1]"}, "[0, 1]"),
        ({"answer": "B", "choices": ["4", "5"]}, ["B", "5"]),
        ({"answer": "B", "options": {"A": "4", "B": "(B) 5"}}, ["B", "5"]),
        ({"answer": None, "solution": r"We add. So it is \boxed{5}. That is all."}, "5"),
        ({"answer": "", "solution": "5"}, "5"),
        ({"reward_model": {"ground_truth": '["5"]', "style": "rule"}}, ["5"]),
        ({"reward_model": '{"ground_truth": "5"}'}, "5"),
        ({"answer": 5.0}, 5.0),
        ({"answer": float("nan")}, None),
        ({"answer": "5", "gold": "$5$", "expected_answer": r"\boxed{5}"}, "5"),
    ],
)
def test_references(given, reference):
    row = {"problem": "p", "thinking": CHAIN, "output": "o", **given}
    assert recognize([row]).contents(row).reference == reference


# ---- what is not told apart


LONG = "A sentence of a worked solution that goes on. " * 60
REFUSED = {
    "two references that differ": ({"problem": "p", "thinking": CHAIN, "answer": "5", "gold": "6"}, "the reference"),
    "two chains that differ": ({"problem": "p", "thinking": CHAIN, "cot": CHAIN + "x"}, "the chain"),
    "a chosen and a rejected answer": ({"prompt": "p", "chosen": thought(0), "rejected": thought(1)}, "the chain"),
    "two problems that differ": ({"problem": "p", "question": "q", "thinking": CHAIN}, "the problem"),
    "an instruction and an input": ({"instruction": "i", "input": "q", "output": thought(0)}, "the problem"),
    "two outputs that differ": ({"problem": "p", "thinking": CHAIN, "output": "o", "response": "r"}, "the output"),
    "an answer of sentences": ({"problem": "p", "thinking": CHAIN, "answer": LONG}, "sentences"),
    "a short solution": ({"question": "q", "solution": "We add.", "answer": "5"}, "no chain is recognized"),
    "a long solution without an answer": ({"question": "q", "solution": LONG}, "no chain is recognized"),
    "texts of unknown names": ({"a": "x", "b": LONG}, "no chain is recognized"),
    "a conversation without thinking": ({"messages": turns(0, said(0))}, "no chain"),
    "a mapping that names nothing": ({"problem": "p", "thinking": CHAIN}, "names nothing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_apart_is_refused_in_one_line_with_the_columns(tmp_path, name):
    row, says = REFUSED[name]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([row]))
    given = {"chain": "nothing.here"} if "mapping" in name else {}
    with pytest.raises(UserError, match=says) as caught:
        open_source(path, SourceOptions(given=given))
    text = str(caught.value)
    assert "\n" not in text and str(path) in text
    assert "--map" in text or "generate_trajectories" in text


@pytest.mark.parametrize(
    "row",
    [
        {
            "prompt": [{"role": "user", "content": "q"}],
            "reward_model": {"ground_truth": "5", "style": "rule"},
            "ability": "math",
        },
        {"problem": "q", "answer": "5", "source": "aime", "difficulty": "hard"},
    ],
)
def test_problems_without_chains_name_the_command_that_makes_them(row):
    with pytest.raises(NoChains, match="generate_trajectories"):
        recognize([row])


def test_a_mapping_overrules_and_reaches_inside():
    row = {"a": {"b": [{"c": CHAIN}]}, "q": "p", "x.y": "5", "answer": "6", "gold": "7", "o": "out", "ok": "yes"}
    given = {"problem": "q", "chain": "a.b[0].c", "reference": "x.y", "output": "o", "correct": "ok"}
    read = recognize([row], given).contents(row)
    [trace] = read.traces
    assert (read.problem, read.reference, trace.output, trace.mark) == ("p", "5", "out", True)
    assert trace.thinking == CHAIN
    assert recognize([row], given | {"reference": ""}).contents(row).reference is None
    with pytest.raises(Unrecognized, match="names nothing"):
        recognize([row], given | {"output": "z"})


ODD = {
    "bytes": ({"thinking": b"\xff\xfe"}, "thinking holds bytes that are not UTF-8"),
    "a list of numbers": ({"thinking": [5]}, "thinking holds a number where a chain is needed"),
    "a problem that is a list": ({"problem": ["p"]}, "problem holds a list where a text is needed"),
    "an output that is a struct": ({"output": {"a": 1}}, "output holds a struct where a text is needed"),
    "a mark that is none": ({"correct": "partly"}, "column correct: 'partly' does not mark"),
    "a problem that is missing": ({"problem": None}, "no problem"),
    "a chain that is missing": ({"thinking": None}, "no chain"),
    "a date": ({"thinking": {1, 2}}, "thinking holds a value of type set"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_value_is_a_fault_that_names_its_column(name):
    good = {"problem": "p", "thinking": CHAIN, "output": "o", "correct": True}
    changed, says = ODD[name]
    reading = recognize([good, good])
    with pytest.raises(ValueError, match=says):
        reading.contents(good | changed)


TALK = [{"role": "user", "content": "p"}, {"role": "assistant", "content": f"<think>{CHAIN}</think>5"}]
STRAYS = {
    "a problem that is a list": ({"problem": "p", "thinking": CHAIN}, {"problem": ["p"]}, "problem holds a list"),
    "a problem that is a number": ({"problem": "p", "thinking": CHAIN}, {"problem": 7}, "problem holds a number"),
    "a chain that is a number": ({"problem": "p", "thinking": CHAIN}, {"thinking": 7}, "thinking holds a number"),
    "turns that are a number": ({"messages": TALK, "answer": "5"}, {"messages": 7}, "messages holds a number"),
    "turns that are an empty list": ({"messages": TALK, "answer": "5"}, {"messages": []}, "messages holds a list"),
    "turns that are a text": ({"messages": TALK, "answer": "5"}, {"messages": "p"}, "no_think_tags"),
}


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_value_is_a_fault_of_its_row_and_hides_no_column(name, place):
    good, changed, says = STRAYS[name]
    rows = [good] * 6
    rows[place] = good | changed
    reading = recognize(rows)
    assert reading.contents(good).traces[0].thinking == CHAIN
    try:
        said = str(reading.contents(rows[place]))
    except ValueError as fault:
        said = str(fault)
    assert says in said


def test_a_table_of_a_source_escapes_what_would_turn_the_text():
    assert clip("\u202eab\ncd", 4) == "\\u202eab…"


def test_values_of_data_frames_are_plain_ones():
    from decimal import Decimal

    row = {"problem": b"p", "thinking": CHAIN.encode(), "answer": Decimal("5.00"), "correct": float("nan")}
    read = recognize([row]).contents(row)
    assert (read.problem, read.reference, read.traces[0].thinking, read.traces[0].mark) == ("p", 5, CHAIN, None)


def test_an_instruction_before_every_problem_is_left_out_and_a_shared_opening_is_not():
    rows = [open_thoughts(n) for n in range(2)]
    assert recognize(rows).instruction == "Return your final response within \\boxed{}. "
    alike = [{"problem": f"Let n be even. Is {k} less?", "thinking": CHAIN} for k in range(6)]
    assert recognize(alike).instruction == ""
