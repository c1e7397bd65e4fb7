"""The measures of a trajectory, against figures counted by hand."""

from __future__ import annotations

import dataclasses
from runpy import run_path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from project import ROOT
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import dataset_speedup, measure, summarize_measures

BLOCK = markup.write_block(["aaaa", "bb"], ["p", "q"], "z")
TEXT = f"12345\n{BLOCK}\n678"


def every_character(text: str) -> range:
    """A tokenizer with one token per character: the measure of a passage is its length."""
    return range(len(text))


def test_every_measure_of_a_trajectory_counted_by_hand():
    # <Parallel> 10, <Outlines>…</Outlines> 10+1+(9+4+10+1)*2+11 = 70, <Thread> 8, </Thread> 9, <Conclusion>z</Conclusion> with two
    # newlines 12+1+1+1+13 = 28, </Parallel> 11; inside the threads "\n1: aaaa\n" 9 and "\n2: bb\n" 7; newlines between the parts 4
    threads = (8 + 9 + 9) + (8 + 7 + 9)
    block = 10 + 1 + 70 + 1 + threads + 1 + 28 + 1 + 11
    assert len(BLOCK) == block == 173
    found = measure(markup.parse(TEXT), every_character(TEXT))
    total = 6 + block + 4
    tags = len("<Parallel></Parallel><Outlines></Outlines><Conclusion></Conclusion>") + 2 * len(
        "<Outline></Outline><Thread></Thread>"
    )
    assert dataclasses.asdict(found) == {
        "total_num_tokens": total,
        "num_tokens_in_the_longest_thread": total - 7,
        "acceleration_ratio": 7 / total,
        "parallel_ratio": block / total,
        "parallel_count": 1,
        "avg_threads_per_parallel_block": 2,
        "avg_thread_length": 8,
        "avg_tokens_per_parallel_block": block,
        "avg_outlines_block_length": 70,
        "avg_conclusion_block_length": 28,
        "training_length": total - tags + 14 + (7 + 2),
    }


def test_a_token_belongs_to_where_it_begins():
    text = markup.write_block(["aaaa", "bb"])
    # three tokens: the whole of the tag and what follows up to the body, a body, the rest
    starts = [0, text.index("aaaa"), text.index("bb")]
    found = measure(markup.parse(text), starts)
    assert (found.total_num_tokens, found.num_tokens_in_the_longest_thread, found.avg_thread_length) == (3, 2, 1)
    assert found.training_length == 3 - 1 + 6 + (1 + 2)


def test_characters_of_several_tokens_count_with_all_of_them():
    text = markup.write_block(["🧵", "b"])
    at = text.index("🧵")
    assert measure(markup.parse(text), [0, at, at, at, at + 1]).avg_thread_length == (4 + 0) / 2


@pytest.mark.parametrize("text", ["", "no block at all <n>"])
def test_without_a_block_nothing_is_parallel(text):
    found = measure(markup.parse(text), every_character(text))
    assert found.num_tokens_in_the_longest_thread == found.total_num_tokens == found.training_length == len(text)
    assert (found.acceleration_ratio, found.parallel_ratio, found.parallel_count, found.avg_thread_length) == (
        0,
        0,
        0,
        0,
    )


def test_of_three_threads_the_longest_counts_wherever_it_is():
    for threads in (["aaaaaa", "b", "cc"], ["b", "aaaaaa", "cc"], ["b", "cc", "aaaaaa"]):
        text = markup.write_block(threads)
        found = measure(markup.parse(text), every_character(text))
        assert found.num_tokens_in_the_longest_thread == len(text) - (len("\n1: b\n") + len("\n1: cc\n"))


def test_training_counts_every_thread_but_the_first_twice():
    text = markup.write_block(["aaaaaa", "b", "cc"])
    found = measure(markup.parse(text), every_character(text))
    tags = markup.tag_spans(text)
    once = len(text) - sum(end - start for start, end in tags) + len(tags)
    assert found.training_length == once + len("\n2: b\n") + len("\n3: cc\n") + 2 * 2


@given(
    st.lists(
        st.tuples(
            strategies.chains(4),
            st.lists(st.sampled_from(("a", "bbb", "c c c", "\\frac{1}{2}")), min_size=2, max_size=4),
        ),
        max_size=4,
    ),
    st.sets(st.integers(0, 400)),
)
def test_the_sums_agree_however_the_text_is_split_into_tokens(parts, cuts):
    text = "".join(
        f"{before}\n{markup.write_block(threads)}\n" for before, threads in parts if not markup.reserved_tag(before)
    )
    trajectory = markup.parse(text)
    starts = sorted(cut for cut in {0, *cuts} if cut < len(text))
    found = measure(trajectory, starts)
    inside = found.avg_tokens_per_parallel_block * found.parallel_count
    assert found.total_num_tokens == len(starts)
    assert found.num_tokens_in_the_longest_thread <= found.total_num_tokens
    assert 0 <= found.acceleration_ratio <= found.parallel_ratio <= 1
    assert found.parallel_ratio * (found.total_num_tokens or 1) == pytest.approx(inside)
    assert (
        found.acceleration_ratio
        == pytest.approx(1 - found.num_tokens_in_the_longest_thread / (found.total_num_tokens or 1))
        or not text
    )


def test_the_speedup_of_a_dataset_is_mean_total_over_mean_longest():
    slow, fast = (
        measure(markup.parse(text), every_character(text))
        for text in ("x" * 100, markup.write_block(["y" * 30, "z" * 30]))
    )
    total, longest = 100 + fast.total_num_tokens, 100 + fast.num_tokens_in_the_longest_thread
    assert dataset_speedup([slow, fast]) == pytest.approx(total / longest)
    assert dataset_speedup([]) == 1.0


def test_the_summary_of_several_trajectories():
    rows = [measure(markup.parse("x" * count), every_character("x" * count)) for count in (10, 20, 60)]
    summary = summarize_measures(rows)["total_num_tokens"]
    assert summary == {"mean": 30, "min": 10, "max": 60, "std": pytest.approx(((400 + 100 + 900) / 3) ** 0.5)}
    assert summarize_measures([]) == {}


def test_with_the_tokenizer_of_the_sample_a_tag_is_one_token(tokenizer):
    text = (
        f"We begin.\n{markup.write_block(['first way', 'second way'], ['directly', 'by the complement'])}\nSo it is 5."
    )
    starts = tokenizer.starts(text)
    found = measure(markup.parse(text), starts)
    assert [sum(start <= at < end for at in starts) for start, end in markup.tag_spans(text)] == [1] * 12
    assert found.total_num_tokens == tokenizer.count(text)
    second = found.training_length - found.total_num_tokens
    assert second == tokenizer.count("\n2: second way\n") + 2


def test_stage_5_tokenizes_each_text_once(tokenizer, tmp_path, monkeypatch):
    from threadweaver.files import write_atomic

    counted: list[str] = []

    class Counting:
        def starts(self, text: str) -> list[int]:
            counted.append(text)
            return tokenizer.starts(text)

    texts = [
        f"Chain {n}.\n{markup.write_block(['first way', 'second way'], ['directly', 'by the complement'])}\nDone."
        for n in range(4)
    ]
    for n, text in enumerate([*texts, "no block, so it is not measured"]):
        write_atomic(tmp_path / "in" / f"{n}.txt", text + "\n")
    monkeypatch.setattr("threadweaver.stages.filtering.load_tokens", lambda name: Counting())
    command = run_path(str(ROOT / "src" / "filter-format-correct-and-obtain-stats.py"))
    flags = [
        "--input",
        str(tmp_path / "in"),
        "--output",
        str(tmp_path / "out"),
        "--skip_conclusion_check",
        "--tokenizer",
        "x",
    ]
    assert command["main"](flags) == 0
    assert counted == texts
    assert command["main"](flags) == 0
    assert counted == texts  # a second run measures nothing
