"""Collecting chains: which are left out and why, and the command."""

from __future__ import annotations

import pytest

import project
from source_rows import CHAIN, jsonl, row
from threadweaver.corpus.readers import SourceRow
from threadweaver.corpus.schemas import recognize
from threadweaver.corpus.sources import open_source
from threadweaver.runs.folder import read_account
from threadweaver.samples import read_collected, read_sample
from threadweaver.stages import collecting


def reason(keep_wrong: bool = False, **changes) -> str | None:
    """Return why a row is not collected, without grading."""
    fields = row(0, **changes)
    [candidate] = collecting.read_row(SourceRow(0, "x", fields), recognize([fields]), "x", "first")
    return collecting.judge(candidate, keep_wrong=keep_wrong).reason


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"correctness": False}, "wrong"),
        ({"correctness": None}, None),
        ({"thinking": "too few words"}, "too_short"),
        ({"thinking": " ".join(CHAIN.split())}, "one_line"),
        ({"thinking": " \n" * 900}, "no_thinking"),
        ({"thinking": "The same paragraph, again.\n\n" * 40}, "looping"),
        ({"thinking": f"{CHAIN} <Thread>"}, "contains_markup"),
        ({"thinking": f"{CHAIN} </think> more"}, "contains_markup"),
        ({"thinking": f"{CHAIN} <n> </parallel> <thread> Thread> <Outline"}, None),
        ({"problem": "What is <Parallel>?"}, "contains_markup"),
        ({"output": "</Outlines>"}, "contains_markup"),
        ({"problem": "a <think> tag"}, None),
        ({"thinking": f"{CHAIN} \ud835"}, "broken_unicode"),
        ({"output": "\udc00"}, "broken_unicode"),
        ({"problem": "q \ud835"}, "broken_unicode"),
        ({"solution": ["\ud835"]}, "broken_unicode"),
        ({"thinking": f"{CHAIN}\0"}, "control_character"),
        ({"output": "\x1b[31m"}, "control_character"),
        ({"solution": ["\x08inom"]}, "control_character"),
        ({"thinking": f"{CHAIN}\r\n\f\u2028\x85\u202e"}, None),
    ],
)
def test_what_is_left_out_and_why(changes, code):
    assert reason(**changes) == code


def test_wrong_chains_are_kept_when_asked_for():
    assert reason(keep_wrong=True, correctness=False) is None
    assert reason(keep_wrong=True, correctness=False, thinking="short") == "too_short"


def test_a_chain_loops_from_a_fifth_of_its_paragraphs_on():
    paragraphs = [f"Paragraph number {n} with words of its own in it, so that it repeats nothing." for n in range(8)]
    again = [paragraphs[0]]
    assert reason(thinking="\n\n".join(paragraphs + again)) is None  # 1 of 9
    assert reason(thinking="\n\n".join(paragraphs + again * 2)) == "looping"  # 2 of 10


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return project.InProcess(tmp_path_factory.mktemp("project"))


def collect(place, name: str, rows: list, *flags: str):
    jsonl(place.root / f"{name}.jsonl", rows)
    result = place.python(
        "src/collect_trajectories.py", "--dataset_path", f"{name}.jsonl", "--output_path", f"data/{name}", *flags
    )
    return result, place.root / "data" / name


def test_collecting_names_files_by_row_and_accounts_for_every_one(place):
    rows = [
        row(0),
        row(1, correctness=False),
        row(2, uuid="twice"),
        row(3, uuid="twice"),
        row(4, thinking="short"),
        row(5, uuid=["list"]),
        row(6),
    ]
    result, folder = collect(place, "mixed", rows)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in folder.glob("*.txt")} == {"0.txt", "2.txt", "5.txt", "6.txt"}
    samples = read_collected(folder)
    assert [sample.uuid for sample in samples] == ["mixed-0", "mixed-2", "mixed-5", "mixed-6"]
    assert [read_sample(folder / f"{sample.index}.txt") for sample in samples] == [
        sample.thinking for sample in samples
    ]
    assert [(entry.id, entry.reason) for entry in read_account(folder) if entry.outcome == "rejected"] == [
        ("1", "wrong"),
        ("3", "repeated_uuid"),
        ("4", "too_short"),
    ]


def test_a_malformed_row_stops_before_anything_is_written_or_is_left_out_when_allowed(place):
    rows = [row(0), {"problem": "p"}, row(2)]
    result, folder = collect(place, "broken", rows)
    assert result.returncode == 2 and not folder.exists()
    assert (
        result.stderr.count("\n") == 1
        and "broken.jsonl, line 2: no chain" in result.stderr
        and "--max-failed 1" in result.stderr
    )
    result, folder = collect(place, "broken", rows, "--max-failed", "1")
    assert result.returncode == 0, result.stderr
    assert [(entry.id, entry.outcome) for entry in read_account(folder)] == [("0", "ok"), ("1", "failed"), ("2", "ok")]
    assert [sample.index for sample in read_collected(folder)] == [0, 2]


def test_collecting_again_gives_the_same_samples(place):
    first = [row(0), row(1, correctness=False), row(2)]
    _, folder = collect(place, "first", first)
    again = place.python("src/collect_trajectories.py", "--dataset_path", "data/first", "--output_path", "data/again")
    assert again.returncode == 0, again.stderr
    before, after = read_collected(folder), read_collected(place.root / "data/again")
    assert [sample.thinking for sample in after] == [sample.thinking for sample in before]
    assert [(sample.uuid, sample.extra.get("source_uuid")) for sample in after] == [
        ("first-0", None),
        ("first-1", "first-2"),
    ]


def test_no_rows_is_an_error(place):
    result, folder = collect(place, "none", [])
    assert result.returncode == 2 and "holds no rows" in result.stderr and not folder.exists()


def test_a_row_whose_thinking_ends_twice_is_left_out_and_fails_nothing(tmp_path):
    good = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": f"<think>{CHAIN}</think>c"}]
    }
    twice = {"messages": [good["messages"][0], {"role": "assistant", "content": f"<think>{CHAIN}</think>b</think>c"}]}
    path = jsonl(tmp_path / "rows.jsonl", [good, twice])
    options = collecting.CollectOptions()
    found = collecting.candidates(open_source(path), 10, options)
    assert [candidate.reason for candidate in found] == [None, "ambiguous_cut"]
    assert [sample.thinking for sample in collecting.collected(open_source(path), 10, options)[0]] == [CHAIN]
