"""Source datasets: every form they come in, and that no chain is ever joined to another's question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import project
from threadweaver.corpus.readers import SourceRow, dataset_name, read_rows
from threadweaver.corpus.schemas import to_sample
from threadweaver.errors import UserError
from threadweaver.runs.folder import read_account
from threadweaver.samples import read_collected, read_sample
from threadweaver.stages.collecting import unfit

CHAIN = "\n\n".join(f"Step {n} is about the number {n * n}, which we add to what we have by now." for n in range(9))


def row(n: int, **extra) -> dict:
    return {
        "problem": f"problem {n}",
        "thinking": f"{CHAIN}\n\nThis was {n}.",
        "solution": str(n),
        "correctness": True,
        "output": f"It is {n}.",
        **extra,
    }


def processed(n: int) -> dict:
    """A row of a processed Polaris parquet."""
    return {
        "question": f"problem {n}",
        "response_reasoning": f"{CHAIN}\n\nThis was {n}.",
        "response_content": f"It is {n}.",
        "qwen_text": "…",
        "num_qwen_tokens": 5,
        "reward_model": {"ground_truth": str(n), "style": "rule"},
        "correctness": True,
    }


def chat(n: int) -> dict:
    return {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": f"problem {n}"},
            {"role": "assistant", "content": f"<think>\n{CHAIN}\n\nThis was {n}.\n</think>\n\nIt is {n}."},
        ],
        "answer": str(n),
        "is_correct": 1,
    }


def jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path


def parquet(path: Path, rows: list[dict]) -> Path:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def saved(path: Path, rows: list[dict]) -> Path:
    from datasets import Dataset

    Dataset.from_list(rows).save_to_disk(str(path))
    return path


def saved_splits(path: Path, rows: list[dict]) -> Path:
    from datasets import Dataset, DatasetDict

    DatasetDict({"test": Dataset.from_list(rows[:1]), "train": Dataset.from_list(rows)}).save_to_disk(str(path))
    return path


def shards(path: Path, rows: list[dict]) -> Path:
    """A folder of parquet files whose names sort 10 before 2, beside those of another split."""
    for number, item in zip((1, 2, 10), rows, strict=True):
        parquet(path / "data" / f"train-{number}.parquet", [item])
    parquet(path / "data" / "test-0.parquet", [row(99)])
    return path


def split_folders(path: Path, rows: list[dict]) -> Path:
    parquet(path / "train" / "0000.parquet", rows)
    parquet(path / "test" / "0000.parquet", [row(99)])
    return path


FORMS = {
    "jsonl": (jsonl, "x.jsonl", row),
    "jsonl, processed": (jsonl, "x.jsonl", processed),
    "jsonl, chat": (jsonl, "x.jsonl", chat),
    "parquet": (parquet, "x.parquet", row),
    "parquet, processed": (parquet, "x.parquet", processed),
    "parquet, chat": (parquet, "x.parquet", chat),
    "arrow folder": (saved, "x", processed),
    "dataset dict": (saved_splits, "x", processed),
    "parquet shards": (shards, "x", processed),
    "folders of splits": (split_folders, "x", row),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples_in_the_order_of_the_source(tmp_path, form):
    write, name, make = FORMS[form]
    path = write(tmp_path / name, [make(n) for n in range(3)])
    samples = [to_sample(item, "x") for item in read_rows(path)]
    assert [sample.uuid for sample in samples] == ["x-0", "x-1", "x-2"]
    for n, sample in enumerate(samples):
        assert (sample.problem, sample.solution, sample.correctness) == (f"problem {n}", str(n), True)
        assert sample.thinking == f"{CHAIN}\n\nThis was {n}." and sample.output == f"It is {n}."
        assert unfit(sample, keep_wrong=False) is None
    assert [item.index for item in read_rows(path, 2)] == [0, 1]


@pytest.mark.parametrize("text", ["a\r\nb", "\n a \n\n", "a\u2028b\x0c", "x <n> y", "  a"])
@pytest.mark.parametrize("write", [jsonl, parquet])
def test_chains_are_read_character_for_character(tmp_path, text, write):
    path = write(tmp_path / f"x.{write.__name__}", [row(0, thinking=text)])
    assert to_sample(next(read_rows(path)), "x").thinking == text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/polaris_1k.jsonl", "polaris_1k"),
        ("sets/mine/train.parquet", "mine"),
        ("sets/sample/chains.jsonl", "sample"),
        ("sets/my set (2)", "my_set_2_"),
        ("x/data.v2", "data.v2"),
    ],
)
def test_the_name_of_a_dataset(tmp_path, path, name):
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.touch() if target.suffix in (".jsonl", ".parquet") else target.mkdir()
    assert dataset_name(target) == name


# ---- who is who


@pytest.mark.parametrize(
    ("given", "index", "uuid", "source"),
    [
        ("set-7", 7, "set-7", None),
        ("set-17", 7, "x-7", "set-17"),
        ("7", 7, "x-7", "7"),
        ("../set-7", 7, "x-7", "../set-7"),
        (7, 7, "x-7", "7"),
        ("a/b-7", 7, "x-7", "a/b-7"),
        ("-7", 7, "x-7", "-7"),
        ("s" * 300 + "-7", 7, "x-7", "s" * 300 + "-7"),
        ("ä-7", 7, "x-7", "ä-7"),
        (None, 7, "x-7", None),
        ("a b-7", 7, "x-7", "a b-7"),
        ("set-7\n", 7, "x-7", "set-7\n"),
        ("math-500", 0, "x-0", "math-500"),
    ],
)
def test_a_uuid_names_its_row_and_a_file_or_becomes_the_source_uuid(given, index, uuid, source):
    sample = to_sample(SourceRow(index, "x", row(0, uuid=given)), "x")
    assert (sample.uuid, sample.index, sample.extra.get("source_uuid")) == (uuid, index, source)


@pytest.mark.parametrize("solution", ["5", 5, 2.5, ["5", "five"], 0, ""])
def test_the_reference_answer_is_kept_as_it_is(solution):
    assert to_sample(SourceRow(0, "x", row(0, solution=solution)), "x").solution == solution


def test_the_reference_answer_is_found_where_polaris_keeps_it():
    fields = row(0, reward_model={"ground_truth": ["1", "one"]}, difficulty="7/8")
    del fields["solution"]
    sample = to_sample(SourceRow(0, "x", fields), "x")
    assert sample.solution == ["1", "one"] and sample.extra["difficulty"] == "7/8"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0.0, False),
        ("True", True),
        ("false", False),
        (None, None),
        (float("nan"), None),
    ],
)
def test_marks_of_right_and_wrong(given, read):
    assert to_sample(SourceRow(0, "x", row(0, correctness=given)), "x").correctness is read


def test_of_a_long_conversation_the_last_question_goes_with_the_last_answer():
    turns = [*chat(1)["messages"], *chat(2)["messages"][1:]]
    sample = to_sample(SourceRow(0, "x", {"messages": turns}), "x")
    assert sample.problem == "problem 2" and sample.thinking.endswith("This was 2.")


@pytest.mark.parametrize(
    ("content", "thinking", "output"),
    [
        ("<think>\na\n\nb\n</think>\n\nc", "a\n\nb", "c"),
        ("a\n</think>\nc", "a", "c"),  # the chat template wrote the opening tag into the prompt
        (" <think>\n\n  a\n\n</think>  c\n", "  a", "  c"),
        ("<think>\n\n</think>\n\nc", "", "c"),
        ("<think>a</think>", "a", ""),
    ],
)
def test_the_thinking_of_a_conversation_is_cut_as_in_conversion(content, thinking, output):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]
    sample = to_sample(SourceRow(0, "x", {"messages": turns}), "x")
    assert (sample.problem, sample.thinking, sample.output) == ("q", thinking, output)


def test_an_answer_in_which_the_thinking_ends_twice_is_refused_with_the_reason():
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>a</think>b</think>c"}]
    with pytest.raises(ValueError, match=r"no chain.*ambiguous \(2 closing tags\)"):
        to_sample(SourceRow(0, "x", {"messages": turns}), "x")


MALFORMED = {
    "no chain": {"problem": "p"},
    "no problem": {"thinking": "t"},
    "an empty problem": {"problem": " ", "thinking": "t"},
    "a chain that is no text": {"problem": "p", "thinking": ["t"]},
    "nothing": {},
    "messages without an answer": {"messages": [{"role": "user", "content": "q"}]},
    "messages without a think block": {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    },
    "messages with null": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None}]},
    "messages in parts": {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"text": "a"}]}]
    },
    "messages that are none": {"messages": "hello"},
    "messages that are null": {"messages": None},
    "a mark that is none": {"problem": "p", "thinking": "t", "correctness": "partly"},
    "a list of marks": {"problem": "p", "thinking": "t", "correctness": [False, True]},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_row_says_what_is_missing(name):
    with pytest.raises(ValueError, match=r"no problem|no chain|does not mark"):
        to_sample(SourceRow(0, "x", MALFORMED[name]), "x")


def test_a_line_that_is_no_json_is_named_by_its_number(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(f'{json.dumps(row(0))}\n\n{json.dumps(row(1))[:-9]}\n[1, 2]\n"text"\n')
    found = list(read_rows(path))
    assert [item.fields is None for item in found] == [False, True, True, True]
    assert [item.place for item in found[1:]] == [f"{path}, line {n}" for n in (3, 4, 5)]
    for item in found[1:]:
        with pytest.raises(ValueError, match=r"."):
            to_sample(item, "x")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.jsonl", "empty", "notes.csv", "broken.parquet", "damaged"])
def test_what_is_no_dataset_is_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.csv").write_text("a,b\n")
    (tmp_path / "broken.parquet").write_text("PAR1")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/dataset_dict.json").write_text("{")
    with pytest.raises(UserError) as caught:
        list(read_rows(tmp_path / name))
    assert "\n" not in str(caught.value)


# ---- what is not collected


def reason(keep_wrong: bool = False, **changes) -> str | None:
    return unfit(to_sample(SourceRow(0, "x", row(0, **changes)), "x"), keep_wrong=keep_wrong)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"correctness": False}, "wrong"),
        ({"correctness": None}, None),
        ({"thinking": "too few words"}, "too_short"),
        ({"thinking": " \n" * 900}, "too_short"),
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
    ],
)
def test_what_is_left_out_and_why(changes, code):
    assert reason(**changes) == code


def test_wrong_chains_are_kept_when_asked_for():
    assert reason(keep_wrong=True, correctness=False) is None
    assert reason(keep_wrong=True, correctness=False, thinking="short") == "too_short"


def test_loops_begin_at_a_fifth_of_the_paragraphs():
    paragraphs = [f"Paragraph number {n} with words of its own in it, so that it is no repeat." for n in range(8)]
    again = [paragraphs[0]]
    assert reason(thinking="\n\n".join(paragraphs + again)) is None  # 1 of 9
    assert reason(thinking="\n\n".join(paragraphs + again * 2)) == "looping"  # 2 of 10


# ---- the command


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return project.Project(tmp_path_factory.mktemp("project"))


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


def test_collecting_what_was_collected_gives_the_same_samples(place):
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
