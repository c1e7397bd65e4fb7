"""The fork-join loop: token-exact contexts, stops that do not fire, limits, and one text whatever the order
of replies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_engine import FakeEngine, Improviser, Script
from generating import TRAJECTORY
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.errors import UserError
from threadweaver.generation import forkjoin
from threadweaver.generation.engine import Completion, Endpoint, Pool, SampleFailed, Sampling, decode, read_choice
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "tokenizer"
LIMITS = forkjoin.Limits()


@cache
def tokenizer() -> Tokenizer:
    return load_tokenizer(str(SAMPLE))


PROMPT = tuple(tokenizer().ids("<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"))


class Direct:
    """Asks a fake engine without HTTP, and yields to other requests a number of times before it answers."""

    def __init__(self, engine: FakeEngine, order: random.Random | None = None):
        self.engine, self.order = engine, order
        self.under_way = self.most = 0

    async def __call__(self, prompt, *, max_tokens, stop=None, seed=0) -> Completion:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(self.order.randint(0, 9) if self.order else 1):
            await asyncio.sleep(0)
        body = {"prompt": list(prompt), "max_tokens": max_tokens, "seed": seed, "temperature": 0, "no_stop_trim": True}
        choice = self.engine.decode(body | ({"stop": [stop]} if stop else {}))
        self.under_way -= 1
        return read_choice(choice, tokenizer(), stop)


def script(text: str, model=None) -> FakeEngine:
    known = Script(tokenizer())
    known.add(PROMPT, text)
    return FakeEngine(model(known) if model else known, tokenizer())


def run(engine: FakeEngine, limits: forkjoin.Limits = LIMITS, **options) -> forkjoin.Rollout:
    complete = options.pop("complete", None) or Direct(engine)
    return asyncio.run(forkjoin.branching(PROMPT, complete, tokenizer(), limits, **options))


# ---------------------------------------------------------------------------------------------------------------
# reproduction


def test_a_known_trajectory_comes_out_token_for_token():
    rollout = run(script(TRAJECTORY))
    assert rollout.text == TRAJECTORY
    assert list(rollout.ids) == tokenizer().ids(TRAJECTORY)
    assert (rollout.reason, rollout.blocks, rollout.threads) == ("finished", 2, 5)
    assert (rollout.requests, rollout.late_stops, rollout.exact) == (3 + 5, 0, True)


def test_the_critical_path_is_that_of_the_metrics():
    rollout = run(script(TRAJECTORY))
    measures = measure(markup.parse(TRAJECTORY), tokenizer().starts(TRAJECTORY))
    assert len(rollout.ids) == measures.total_num_tokens
    assert rollout.critical_path == measures.num_tokens_in_the_longest_thread < len(rollout.ids)


texts = st.text(st.sampled_from("ab 1.$\\{}é√\n中😀-:"), min_size=1, max_size=30).map(str.strip).filter(bool)
blocks = st.integers(2, 5).flatmap(
    lambda n: st.builds(
        markup.write_block,
        st.lists(texts, min_size=n, max_size=n),
        st.lists(texts, min_size=n, max_size=n),
        st.none() | texts,
    )
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, blocks), max_size=3), texts)
def test_any_trajectory_comes_out_token_for_token(parts, end):
    text = "".join(f"{before}\n{block}\n" for before, block in parts) + end
    rollout = run(script(text))
    assert rollout.text == text
    assert list(rollout.ids) == tokenizer().ids(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.integers(), st.integers(0, 40))
def test_the_text_does_not_depend_on_the_order_of_replies(first, second, problem):
    prompt = tokenizer().ids(f"problem {problem}:")

    async def both() -> list[forkjoin.Rollout]:
        engine = FakeEngine(Improviser(tokenizer()), tokenizer())
        orders = [Direct(engine, random.Random(seed)) for seed in (first, second)]
        return [await forkjoin.branching(prompt, order, tokenizer(), LIMITS) for order in orders]

    left, right = asyncio.run(both())
    assert left.ids == right.ids
    markup.parse(left.text)


def test_many_problems_at_once_give_what_each_gives_alone():
    prompts = [tokenizer().ids(f"problem {number}:") for number in range(12)]

    async def all_at_once(url: str) -> list[str]:
        async with Pool([Endpoint(url)], tokenizer(), Sampling(0.0), timeout=20) as pool:
            await pool.meet("fake/model", 4096)

            async def one(prompt) -> str:
                async with pool.seat() as complete:
                    return (await forkjoin.branching(prompt, complete, tokenizer(), LIMITS)).text

            return await asyncio.gather(*map(one, prompts))

    shuffled = random.Random(7)
    engine = FakeEngine(Improviser(tokenizer()), tokenizer(), latency=lambda prompt: shuffled.random() / 50)
    with engine:
        together = asyncio.run(all_at_once(engine.url))
    direct = Direct(engine)
    alone = [asyncio.run(forkjoin.branching(prompt, direct, tokenizer(), LIMITS)).text for prompt in prompts]
    assert together == alone
    assert any("<Parallel>" in text for text in together)


def test_all_threads_of_a_block_are_under_way_at_once():
    threads = [f"thread {k}" for k in range(1, 8)]
    direct = Direct(script(markup.write_block(threads, threads)))
    run(direct.engine, complete=direct)
    assert direct.most == 7


def test_siblings_do_not_see_each_other():
    engine = FakeEngine(Script(tokenizer()), tokenizer())
    engine.model.add(PROMPT, TRAJECTORY)
    seen: list[str] = []

    async def spy(prompt, **options):
        seen.append(decode(tokenizer(), prompt))
        return await Direct(engine)(prompt, **options)

    run(engine, complete=spy)
    second = next(text for text in seen if text.endswith("</Outlines>\n<Thread>\n2:"))
    assert "Count" not in second.partition("</Outlines>")[2]


# ---------------------------------------------------------------------------------------------------------------
# stops that do not fire


class Stutter:
    """A model that spells some tags in pieces, which a server's window for stop strings does not hold."""

    def __init__(self, model, tags: Sequence[str]):
        self.model, self.tags = model, {tokenizer().ids(tag)[0]: tag for tag in tags}

    def __call__(self, prompt, seed) -> Iterator[int]:
        for id in self.model(prompt, seed):
            if tag := self.tags.get(id):
                for piece in (tag[:2], tag[2:-1], tag[-1]):
                    yield from tokenizer().ids(piece)
            else:
                yield id


@pytest.mark.parametrize("tag", ["</Outlines>", "</Thread>"])
def test_a_tag_in_pieces_goes_past_the_server_and_is_found_in_the_text(tag):
    engine = script(TRAJECTORY, lambda known: Stutter(known, [tag]))
    assert run_past(engine, tag), "the stand-in stopped at a tag in pieces: it is too lenient"
    rollout = run(engine)
    assert rollout.text == TRAJECTORY
    assert list(rollout.ids) == tokenizer().ids(TRAJECTORY), "the tag has to be the one token that it is in training"
    assert rollout.late_stops == {"</Outlines>": 2, "</Thread>": 5}[tag]


def run_past(engine: FakeEngine, tag: str) -> bool:
    return engine.decode({"prompt": list(PROMPT), "max_tokens": 999, "stop": [tag]})["matched_stop"] != tag


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_the_cut_keeps_what_is_before_the_tag(before, behind, whole):
    tag = "</Thread>"
    if tag in before + behind or markup.reserved_tag(before + behind):
        return
    encode = tokenizer().ids
    spelled = encode(tag) if whole else [*encode("</Thr"), *encode("ead"), *encode(">" + behind)]
    ids, closed, _ = forkjoin.cut_after([*encode(before), *spelled, *encode(behind)], tag, tokenizer())
    assert closed
    assert decode(tokenizer(), ids) == before + tag
    assert ids[-1:] == encode(tag)


def test_a_cut_inside_a_token_and_a_character():
    encode = tokenizer().ids
    half = encode("é😀")  # characters of several tokens right before the tag
    ids, closed, late = forkjoin.cut_after([*half, *encode("</Thre"), *encode("ad>.")], "</Thread>", tokenizer())
    assert (closed, late, decode(tokenizer(), ids)) == (True, True, "é😀</Thread>")
    assert forkjoin.cut_after(encode("no tag"), "</Thread>", tokenizer()) == (encode("no tag"), False, False)


# ---------------------------------------------------------------------------------------------------------------
# how a trajectory ends


OUTLINED = "a\n<Parallel>\n<Outlines>\n<Outline>1: x</Outline>\n<Outline>2: y</Outline>\n</Outlines>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OUTLINED, (2, None)),
        (OUTLINED.replace("\n", " "), (2, None)),
        (OUTLINED.replace("x", "a<n>b"), (2, None)),  # mathematics shaped like a tag
        (OUTLINED.replace("1: x", "1 : x"), (2, None)),
        (OUTLINED.replace("2: y", "3: y"), (0, "numbering")),
        (OUTLINED.replace("1: x", "x"), (0, "numbering")),
        (OUTLINED.replace("\n<Outline>2: y</Outline>", ""), (0, "single_thread")),
        (OUTLINED.replace("1: x", "").replace("2: y", ""), (0, "no_outlines")),
        (OUTLINED.replace("<Outlines>", "", 1), (0, "no_outlines")),
        (OUTLINED.replace("<Parallel>", ""), (0, "no_outlines")),
        (OUTLINED.replace("</Outlines>", "</Outlines>\n<Parallel>\n</Outlines>"), (0, "no_outlines")),
        (f"<Parallel>\n<Outlines>\n{OUTLINED}", (2, None)),  # the last block counts
    ],
)
def test_reading_outlines(text, expected):
    assert forkjoin.read_outlines(text) == expected


def test_more_outlines_than_threads_allowed():
    outlines = "".join(f"<Outline>{k}: x</Outline>\n" for k in range(1, 52))
    text = f"<Parallel>\n<Outlines>\n{outlines}</Outlines>"
    assert forkjoin.read_outlines(text) == (0, "too_many_threads")
    assert forkjoin.read_outlines(text, 51) == (51, None)


def speaking(*pieces: str) -> FakeEngine:
    """An engine that says these pieces, one per request, and then ends the turn."""
    queue = [[*tokenizer().ids(piece), tokenizer().hf.eos_token_id] for piece in pieces]
    return FakeEngine(lambda prompt, seed: iter(queue.pop(0)), tokenizer())


@pytest.mark.parametrize(
    ("pieces", "reason", "end"),
    [
        (["just a chain"], "finished", "just a chain"),
        ([OUTLINED, " A\n</Thread>", " B, and no end"], "unclosed_thread", "B, and no end"),
        ([OUTLINED.replace("2: y", "7: y")], "numbering", "</Outlines>"),
        (["</Outlines>"], "no_outlines", "</Outlines>"),
        (["<Parallel>\n<Thread>\n1: A\n</Thread>"], "no_outlines", "</Thread>"),
        ([OUTLINED, " A\n</Thread>", " B\n</Thread>", "</Parallel>\ndone"], "finished", "</Parallel>\ndone"),
    ],
)
def test_how_a_trajectory_ends(pieces, reason, end):
    rollout = run(speaking(*pieces))
    assert (rollout.reason, rollout.text.endswith(end)) == (reason, True)


def test_too_many_blocks_end_a_trajectory():
    text = "".join(f"{markup.write_block(['a', 'b'], ['x', 'y'])}\n" for _ in range(4)) + "end"
    assert run(script(text), forkjoin.Limits(blocks=4)).reason == "finished"
    rollout = run(script(text), forkjoin.Limits(blocks=3))
    assert (rollout.reason, rollout.blocks) == ("too_many_blocks", 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400))
def test_the_context_is_never_exceeded_while_decoding(context):
    lengths: list[int] = []

    async def watch(prompt, *, max_tokens, **options):
        lengths.append(len(prompt) + max_tokens)
        return await Direct(engine)(prompt, max_tokens=max_tokens, **options)

    engine = script(TRAJECTORY)
    rollout = run(engine, forkjoin.Limits(context=context), complete=watch)
    assert set(lengths) <= {context}
    assert rollout.reason == ("finished" if rollout.text == TRAJECTORY else "context_full")


def test_a_thread_that_runs_out_of_context_is_reported():
    engine = speaking(OUTLINED, " A\n</Thread>", " B" * 500)
    assert run(engine, forkjoin.Limits(context=300)).reason == "context_full"


def test_without_conclusion_the_loop_closes_the_block_itself():
    text = TRAJECTORY.replace("\n<Conclusion>\nAll agree.\n</Conclusion>", "")
    rollout = run(script(text), no_conclusion=True)
    assert list(rollout.ids) == tokenizer().ids(text)


def test_a_thread_that_fails_fails_the_sample_and_ends_its_siblings():
    cancelled = []

    async def failing(prompt, **options):
        text = decode(tokenizer(), prompt)
        if text.endswith("<Thread>\n2:"):
            raise SampleFailed("HTTP 500")
        if text.endswith("<Thread>\n1:"):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise
        return await Direct(engine)(prompt, **options)

    engine = script(TRAJECTORY)
    with pytest.raises(SampleFailed, match="HTTP 500"):
        run(engine, complete=failing)
    assert cancelled == [1]


def test_a_sequential_rollout_is_one_request():
    rollout = asyncio.run(forkjoin.sequential(PROMPT, Direct(script(TRAJECTORY)), tokenizer(), LIMITS))
    assert (rollout.text, rollout.requests, rollout.critical_path) == (TRAJECTORY, 1, len(rollout.ids))


def test_seeds_differ_by_request_and_repeat_by_run():
    seeds: list[int] = []

    async def note(prompt, *, seed, **options):
        seeds.append(seed)
        return await Direct(engine)(prompt, seed=seed, **options)

    engine = script(TRAJECTORY)
    run(engine, complete=note, seed=5)
    once = list(seeds)
    run(engine, complete=note, seed=5)
    assert len(set(once)) == len(once) == 8
    assert sorted(seeds[8:]) == sorted(once)


def test_a_tokenizer_without_the_tags_is_refused():
    from tokenizers import Tokenizer as Core
    from tokenizers import models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {chr(code): code - 32 for code in range(32, 127)}
    plain = Core(models.BPE(vocab=letters, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    without = Tokenizer("plain", PreTrainedTokenizerFast(tokenizer_object=plain))
    with pytest.raises(UserError, match="no token <Parallel>"):
        forkjoin.require_tags(without)
    forkjoin.require_tags(without.with_tags(markup.TAGS))
    forkjoin.require_tags(tokenizer())
