"""Data and inference agree: every trajectory, driven through the fork-join loop by a model that knows only its
units, requests exactly what training sees and comes out token for token."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fake_engine import FakeEngine
from scripted import NO_LIMITS, Scripted, Unknown, round_trip
from strategies import bodies, chains
from threadweaver.corpus import chat, training_rows, training_units
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.generation import forkjoin
from threadweaver.generation.engine import Endpoint, Pool, Sampling
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure


@dataclass(frozen=True)
class Saved:
    """A run of the sample with the rules annotator, saved with --units."""

    rows: list[dict]
    pairs: list[dict]
    folder: Path

    def trips(self, tokenizer) -> list[tuple[str, int]]:
        return [training_rows.turn_span(row["qwen_text"], row["raw_messages"], tokenizer) for row in self.rows]


@pytest.fixture(scope="module")
def saved(finished) -> Saved:
    from pyarrow import parquet

    project, run = finished
    assert run.returncode == 0, run.stderr
    [folder] = (project.root / "dataset").iterdir()
    tables = {path.parent.name: parquet.read_table(path).to_pylist() for path in folder.glob("*/train.parquet")}
    [pairs] = [table for name, table in tables.items() if name.startswith("units_")]
    [rows] = [table for name, table in tables.items() if re.fullmatch(r"sample_\d+", name)]
    return Saved(rows, pairs, folder)


def test_every_accepted_trajectory_comes_back_token_for_token(saved, tokenizer):
    trips = [round_trip(row, begin, tokenizer) for row, begin in saved.trips(tokenizer)]
    assert [trip.faults for trip in trips if trip.faults] == []
    assert len(trips) >= 3 and all(trip.requests == trip.units >= 4 for trip in trips)
    assert sum(trip.units for trip in trips) == len(saved.pairs)


def test_the_saved_pairs_are_the_requests_of_a_real_completions_api(saved, tokenizer):
    """The same through HTTP, with the pairs of the parquet and a server that looks for stop strings."""
    known = {tuple(tokenizer.ids(pair["context"])): tokenizer.ids(pair["continuation"]) for pair in saved.pairs}
    assert len(known) == len({pair["context"] for pair in saved.pairs})
    rows = saved.trips(tokenizer)

    async def all_rows(url: str) -> list[forkjoin.Rollout]:
        async with Pool([Endpoint(url)], tokenizer, Sampling(0.0), timeout=60) as pool:
            await pool.meet("fake/model", 4096)
            async with pool.seat() as complete:
                limits = forkjoin.Limits(context=20_000)
                return [
                    await forkjoin.branching(tokenizer.ids(row[:begin]), complete, tokenizer, limits)
                    for row, begin in rows
                ]

    with FakeEngine(lambda prompt, seed: iter(known[tuple(prompt)]), tokenizer) as engine:
        rollouts = asyncio.run(all_rows(engine.url))
        asked = [tuple(request["prompt"]) for request in engine.requests]
    assert set(asked) == set(known)
    for rollout, (row, begin) in zip(rollouts, rows, strict=True):
        assert [*tokenizer.ids(row[:begin]), *rollout.ids, tokenizer.hf.eos_token_id] == tokenizer.ids(row)
        assert (rollout.reason, rollout.exact, rollout.late_stops) == (forkjoin.FINISHED, True, 0)


def test_the_first_context_is_the_prompt_of_generation(saved, tokenizer):
    first = {pair["uuid"]: pair["context"] for pair in saved.pairs if pair["unit"] == 0}
    for row in saved.rows:
        turn = {"role": "user", "content": chat.user_turn(row["question"])}
        assert first[row["uuid"]] == tokenizer.chat([turn], add_generation_prompt=True)


def test_the_training_length_of_a_row_is_that_of_its_units(saved, tokenizer):
    """All tokens of a row count once; threads 2 … n of a block count once more, as units of their own."""
    pairs = {}
    for pair in saved.pairs:
        pairs.setdefault(pair["uuid"], []).append(pair)
    for row, (text, _) in zip(saved.rows, saved.trips(tokenizer), strict=True):
        last = pairs[row["uuid"]][-1]
        again = [
            len(tokenizer.ids(f"<Thread>\n{pair['thread']}:")) + pair["num_continuation_tokens"]
            for pair in pairs[row["uuid"]]
            if pair["thread"] > 1
        ]
        found = last["num_context_tokens"] + last["num_continuation_tokens"] + sum(again)
        measured = measure(markup.parse(text), tokenizer.starts(text)).training_length
        assert found == measured and again


# ---- made-up trajectories

PROMPT = "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"


@st.composite
def trajectories(draw) -> str:
    """Any chains around any blocks: 2 to 12 threads of any text that the writer accepts."""
    text = ""
    for _ in range(draw(st.integers(0, 3))):
        count = draw(st.one_of(st.integers(2, 4), st.integers(2, 12)))
        texts = draw(st.lists(bodies, min_size=2 * count, max_size=2 * count))
        conclusion = draw(st.none() | bodies)
        try:
            block = markup.write_block(texts[:count], texts[count:], conclusion)
        except markup.MarkupError:
            assume(False)
        text += f"{draw(chains(4))}\n{block}\n"
    return text + draw(chains(4))


@settings(max_examples=150)
@given(trajectories())
def test_any_trajectory_comes_back_token_for_token(text):
    row = f"{PROMPT}<think>\n{text}\n</think>\n\nThe answer is 3.<|im_end|>"
    trip = round_trip(row, len(PROMPT), small())
    assert trip.faults == ()
    blocks = markup.parse(row).blocks
    assert trip.requests == trip.units == 1 + sum(1 + len(block.threads) for block in blocks)


@cache
def small() -> Tokenizer:
    return load_tokenizer(str(Path(__file__).parents[1] / "data" / "sample" / "tokenizer"))


# ---- one byte

CHANGES = {
    "a newline more before </Thread>": (r"\n</Thread>", "\n\n</Thread>"),
    "no newline before </Thread>": (r"\n</Thread>", "</Thread>"),
    "no space after k:": (r"(<Thread>\n\d+:) ", r"\1"),
    "two spaces after k:": (r"(<Thread>\n\d+:) ", r"\1  "),
    "a newline after k:": (r"(<Thread>\n\d+:) ", r"\1\n"),
    "no newline after <Thread>": (r"<Thread>\n", "<Thread>"),
    "a newline more after <Thread>": (r"<Thread>\n", "<Thread>\n\n"),
    "a newline between threads": (r"</Thread><Thread>", "</Thread>\n<Thread>"),
    "a space between threads": (r"</Thread><Thread>", "</Thread> <Thread>"),
    "a blank line behind the outlines": (r"</Outlines>\n", "</Outlines>\n\n"),
    "no newline behind the outlines": (r"</Outlines>\n", "</Outlines>"),
    "no newline behind the threads": (r"</Thread>\n</Parallel>", "</Thread></Parallel>"),
    "a newline more behind the threads": (r"</Thread>\n</Parallel>", "</Thread>\n\n</Parallel>"),
    "no newline after <Parallel>": (r"<Parallel>\n", "<Parallel>"),
    "a newline more after <Parallel>": (r"<Parallel>\n", "<Parallel>\n\n"),
    "a newline more after <Outlines>": (r"<Outlines>\n", "<Outlines>\n\n"),
    "no newline between outlines": (r"</Outline>\n<Outline>", "</Outline><Outline>"),
    "no space in an outline": (r"(<Outline>\d+:) ", r"\1"),
    "a space more at the end of an outline": (r"</Outline>", " </Outline>"),
    "CR LF": (r"\n</Thread>", "\r\n</Thread>"),
    "a space behind the block": (r"</Parallel>", "</Parallel> "),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_byte_changed_in_the_writer_breaks_the_round_trip(saved, tokenizer, monkeypatch, change):
    """The accepted trajectories, written again by a writer that is off by one byte, still parse, but none comes out
    the same."""
    right = markup.write_block
    monkeypatch.setattr(markup, "write_block", lambda *args: re.sub(*CHANGES[change], right(*args)))
    for row, begin in saved.trips(tokenizer)[:4]:
        trajectory = markup.parse(row[begin:])
        other = row[:begin] + trajectory.replace_blocks([markup.canonical(block) for block in trajectory.blocks])
        assert len(markup.parse(other[begin:]).blocks) == len(trajectory.blocks), "the tolerant reader reads it"
        assert round_trip(other, begin, tokenizer).faults, "nobody noticed"
        assert not round_trip(row, begin, tokenizer).faults


@pytest.mark.parametrize("method", ["opening", "thread", "joined"])
def test_one_byte_changed_in_the_loop_breaks_the_round_trip(saved, tokenizer, monkeypatch, method):
    row, begin = saved.trips(tokenizer)[0]
    known = training_units.as_ids(row, begin, tokenizer)
    right = getattr(training_units.Contexts, method)
    monkeypatch.setattr(training_units.Contexts, method, lambda self, *args: right(self, *args) + self.encode("\n"))
    assert round_trip(row, begin, tokenizer).faults

    with pytest.raises(Unknown, match="no unit has the context"):
        asyncio.run(forkjoin.branching(tokenizer.ids(row[:begin]), Scripted(known, tokenizer), tokenizer, NO_LIMITS))
