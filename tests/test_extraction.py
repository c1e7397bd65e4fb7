"""Extraction: chain and annotation become a trajectory from which the chain is restored, character for character."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from threadweaver.outlines.checks import describe_unfit
from threadweaver.stages import outlining, parallel, rewriting
from threadweaver.stages.extraction import Extraction, extract
from threadweaver.stages.rewriting import edit_questions
from threadweaver.trajectory import annotation, markup
from threadweaver.trajectory.annotation import Code
from threadweaver.trajectory.edits import Lineage, fingerprint, restore

WORDS = "one counts the apples in every basket, weighs them, and writes both figures into a long book for later"


def line(n: int) -> str:
    return f"Line {n}: {WORDS}"


CHAIN = "\n".join(line(n) for n in range(1, 31))


def marked(chain: str, notes: str, problem: str = "", **options) -> Extraction:
    lines = annotation.lines(chain)
    record = Lineage(0, "set-0", problem, "", None, fingerprint(chain), len(chain), len(lines))
    return extract(chain, annotation.parse(notes, lines), record, **options)


def block(*ranges: str, failed: tuple[int, ...] = ()) -> str:
    """An annotated block of threads with these ranges; those in `failed` (from 1) failed their check."""
    threads = [
        f"<thread>\nS{n}: a step\n</thread> (range: {span}{', check failed: uses x' if n in failed else ''})\n"
        for n, span in enumerate(ranges, 1)
    ]
    return f"<parallel>[Parallel reason: why not]\n{''.join(threads)}</parallel>\n"


def spans(found: Extraction) -> list[list[str]]:
    return [[f"{thread.first}-{thread.last}" for thread in item.threads] for item in found.lineage.blocks]


def unused(found: Extraction) -> list[str]:
    return [item.code for item in found.lineage.unused]


def given_back(found: Extraction, chain: str = CHAIN) -> bool:
    return restore(markup.parse(found.trajectory), found.lineage) == chain


def test_a_thread_has_the_plan_of_its_steps_without_their_substeps():
    notes = """S1: reads (L1-L2)
S2: counts the even ones (L3-L8)
S2.1: lists them (L3-L5)
<parallel>[cases; new work; why]
<thread>
S2: counts the even ones (L3-L8)
S2.1: lists them (L3-L5)
</thread> (range: L3-L8, takes from siblings: nothing, check passed)
<thread>
S3: counts the odd ones (L9-L12)
S4: (L13-L14)
S5: adds up (L15-L16)
</thread> (range: L9-L16, takes from siblings: nothing, check passed)
<thread>
</thread> (range: L17-L20, takes from siblings: nothing, check passed)
</parallel>
S6: tries the primes (L17-L18)
S7: gives up (L19-L20)
S8: starts again (L21-L30)
"""
    [item] = marked(CHAIN, notes).lineage.blocks
    assert [thread.plan for thread in item.threads] == [
        "counts the even ones",
        "counts the odd ones; adds up",
        "tries the primes; gives up",
    ]


def test_joined_threads_have_the_plans_of_all():
    chain = f"{DEFINES}\n{USES}\n{CHAIN}"
    notes = block("L1-L2", "L3-L4", "L5-L9", "L10-L20").replace("S2: a step", "S2: uses it")
    [item] = marked(chain, notes).lineage.blocks
    assert [thread.plan for thread in item.threads] == ["a step; uses it", "a step", "a step"]


def test_a_block_covers_whole_lines_and_the_text_around_it_is_kept():
    found = marked(CHAIN, block("L3-L5", "L6-L9"))
    before, after = ("\n".join(map(line, numbers)) for numbers in ((1, 2), range(10, 31)))
    threads = ["\n".join(map(line, numbers)) for numbers in ((3, 4, 5), (6, 7, 8, 9))]
    assert found.trajectory == f"{before}\n{markup.write_block(threads)}\n{after}"
    assert spans(found) == [["3-5", "6-9"]] and found.lineage.blocks[0].reason == "why not"
    assert given_back(found)


def test_without_a_block_the_trajectory_is_the_chain():
    found = marked(CHAIN, "S1: all of it (L1-L30)\n")
    assert (found.trajectory, found.lineage.blocks, found.lineage.unused) == (CHAIN, (), ())


@pytest.mark.parametrize("edge", ["", "\n", "\r\n", " \u2028\n", "\f\n\n"])
def test_the_first_and_the_last_line_of_the_file(edge):
    chain = f"{edge}{line(1)}\n{line(2)}\n{line(3)}\n{line(4)}{edge}"
    blank, last = edge.count("\n"), chain.count("\n") + 1
    found = marked(chain, block(f"L1-L{blank + 2}", f"L{blank + 3}-L{last}"))
    assert len(found.lineage.blocks) == 1
    assert given_back(found, chain)


def test_blank_lines_at_the_edges_stay_outside_the_block():
    chain = f"{line(1)}\n\n{line(2)}\n{line(3)}\n\n{line(4)}\n{line(5)}\n\n\n{line(6)}"
    found = marked(chain, block("L2-L5", "L6-L9"))
    block_text = markup.write_block([f"{line(2)}\n{line(3)}", f"{line(4)}\n{line(5)}"])
    assert found.trajectory == f"{line(1)}\n\n{block_text}\n\n\n{line(6)}"
    assert given_back(found, chain)


def test_carriage_returns_never_appear_between_tags():
    chain = CHAIN.replace("\n", "\r\n")
    found = marked(chain, block("L3-L5", "L6-L9"))
    (only,) = markup.parse(found.trajectory).blocks
    assert found.trajectory[only.start : only.end] == markup.canonical(only)
    assert found.trajectory[only.end] == "\n"
    assert given_back(found, chain)


UNUSED = {
    "low information": (block("L1-L9", "L10"), {}, ["low_information"]),
    "low information, high threshold": (block("L1-L9", "L10-L14"), {"threshold": 5000}, ["low_information"]),
    "overlap": (block("L1-L5", "L5-L9"), {}, ["overlap"]),
    "out of the file": (block("L1-L5", "L31-L40"), {}, ["out_of_file"]),
    "no readable range": (block("L1-L5", "the rest").replace("S2: a step", "S2: a step"), {}, ["missing_range"]),
    "single thread": (block("L1-L5"), {}, ["single_thread"]),
    "never closed": (block("L1-L5", "L6-L9").replace("</parallel>", ""), {}, ["unbalanced_tag"]),
    "all checks failed": (block("L1-L5", "L6-L9", failed=(2,)), {}, ["check_failed"]),
    "two blocks share a line": (block("L1-L5", "L6-L9") + block("L9-L12", "L13-L16"), {}, ["overlap"]),
    "too many threads": (
        block(*(f"L{n}" for n in range(1, 31)), *(f"L{n}" for n in range(31, 52))),
        {"threshold": 0},
        ["out_of_file"],
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_every_unused_block_is_recorded_with_its_reason(name):
    notes, options, expected = UNUSED[name]
    found = marked(CHAIN, notes, **options)
    assert unused(found) == expected
    assert len(found.lineage.blocks) == len(annotation.parse(notes, CHAIN.split("\n")).blocks) - len(expected)
    assert given_back(found)


def test_the_threshold_counts_all_but_the_longest_thread():
    chain = f"{'a' * 500}\n{'b' * 130}\n{'c' * 120}"
    notes = block("L1", "L2", "L3")
    assert unused(marked(chain, notes, threshold=251)) == ["low_information"]
    assert unused(marked(chain, notes, threshold=250)) == unused(marked(chain, notes)) == []


def test_threshold_zero_accepts_the_shortest_threads():
    assert spans(marked("a\nb", block("L1", "L2"), threshold=0)) == [["1-1", "2-2"]]


@pytest.mark.parametrize("tag", ["<n>", "a<b>c", "</parallel>", "<think_more>"])
def test_a_passage_with_something_shaped_like_a_tag_stays_outside(tag):
    chain = CHAIN.replace("Line 7:", f"Line 7, {tag}:")
    found = marked(chain, block("L3-L5", "L6-L9") + block("L11-L15", "L16-L20"))
    assert unused(found) == ["tag_in_passage"]
    assert spans(found) == [["11-15", "16-20"]]
    assert given_back(found, chain)


def test_a_failed_check_separates_the_threads_around_it():
    found = marked(CHAIN, block("L1-L4", "L5-L8", "L9-L10", "L11-L14", "L15-L18", failed=(3,)))
    assert spans(found) == [["1-4", "5-8"], ["11-14", "15-18"]]
    assert f"</Parallel>\n{line(9)}\n{line(10)}\n<Parallel>" in found.trajectory
    assert given_back(found)


def test_a_failed_check_at_the_edge_leaves_the_others():
    assert spans(marked(CHAIN, block("L1-L4", "L5-L8", "L9-L10", failed=(1,)))) == [["5-8", "9-10"]]
    assert spans(marked(CHAIN, block("L1-L4", "L5-L8", "L9-L10", failed=(3,)))) == [["1-4", "5-8"]]


def test_lines_that_no_thread_covers_go_to_the_thread_before_them():
    found = marked(CHAIN, block("L3-L5", "L8-L9"))
    assert spans(found) == [["3-7", "8-9"]]
    assert "gap" in [note.get("code") for note in found.lineage.notes]
    assert given_back(found)


def test_threads_out_of_order_do_not_reorder_the_reasoning():
    found = marked(CHAIN, block("L6-L9", "L3-L5"))
    assert spans(found) == [["3-5", "6-9"]]
    assert found.trajectory.index("Line 3:") < found.trajectory.index("Line 6:")
    assert given_back(found)


def nature(notes: str, text: str) -> str:
    return notes.replace("<parallel>[Parallel reason: why not]", f"<parallel>[{text}]")


def candidates(found: Extraction) -> list[tuple[str, str, bool]]:
    notes = [note for note in found.lineage.notes if note["kind"] == "candidate"]
    return [(note["lines"], note["nature"], note["chosen"]) for note in notes]


def test_of_blocks_that_overlap_or_nest_those_that_save_most_are_used_and_the_trace_names_all():
    wide, inner, last = block("L3-L12", "L13-L14"), block("L3-L7", "L8-L12"), block("L14-L18", "L19-L23")
    found = marked(CHAIN, wide + inner + last)
    assert spans(found) == [["3-7", "8-12"], ["14-18", "19-23"]]
    assert candidates(found) == [("L3-L14", "", False), ("L3-L12", "", True), ("L14-L23", "", True)]
    [left] = found.lineage.unused
    assert (left.number, left.code) == (1, "overlap")
    assert left.detail == "block 2 (L3-L12) and block 3 (L14-L23) saves more"
    assert given_back(found)


def test_a_recheck_counts_by_its_weight():
    rival = nature(block("L3-L8", "L9-L14"), "checks; re-check; again") + nature(
        block("L3-L7", "L8-L12"), "cases; new work"
    )
    assert spans(marked(CHAIN, rival)) == [["3-7", "8-12"]]
    assert spans(marked(CHAIN, rival, recheck_weight=1.0)) == [["3-8", "9-14"]]
    only = nature(block("L3-L8", "L9-L14"), "checks; re-check; again")
    assert unused(marked(CHAIN, only, recheck_weight=0.0)) == ["re-check"]
    [used] = marked(CHAIN, only).lineage.blocks
    assert (used.kind, used.novelty, used.reason) == ("checks", "re-check", "again")


@pytest.mark.parametrize(("novelty", "weight"), [("new work", 1.0), ("re-check", 0.5)])
def test_a_block_has_to_gain_enough_after_its_outlines(novelty, weight):
    """A chain keeps a smaller one rather than none; in the older form, which tells no novelty, the threshold decides."""
    gain = weight * (len("\n".join(line(n) for n in range(10, 16))) - 2 * 120)
    poor = nature(block("L3-L9", "L10-L15"), f"cases; {novelty}; two ways")
    rich = nature(block("L16-L22", "L23-L29"), "methods; new work; two methods")
    assert gain > 0 and spans(marked(CHAIN, poor + rich, min_gain=int(gain))) == [["3-9", "10-15"], ["16-22", "23-29"]]
    found = marked(CHAIN, poor + rich, min_gain=int(gain) + 1)
    [left] = found.lineage.unused
    assert spans(found) == [["16-22", "23-29"]]
    assert (left.code, float(left.detail.split()[0])) == ("low_gain", gain)
    assert spans(marked(CHAIN, poor, min_gain=int(gain) + 1)) == [["3-9", "10-15"]]
    assert unused(marked(CHAIN, nature(block("L3-L4", "L5-L6"), f"cases; {novelty}"), min_gain=2)) == ["low_gain"]
    assert unused(marked(CHAIN, block("L3-L9", "L10-L15") + rich, min_gain=9999)) == ["low_gain"]
    both = nature(block("L3-L9", "L10-L16"), "cases; new work") + nature(block("L3-L9", "L10-L15"), "cases; new work")
    assert unused(marked(CHAIN, both, min_gain=9999)) == ["overlap"]


@pytest.mark.parametrize(
    ("annotator", "threshold", "gain"),
    [("llm", 200, 200), ("llm", 900, 200), ("llm", 0, 0), ("rules", 200, 0), (None, 200, 0)],
)
def test_what_a_block_has_to_gain_by_default(annotator, threshold, gain):
    assert parallel.min_gain_of(annotator, threshold) == gain


def test_a_restatement_after_the_final_answer_is_not_used():
    notes = nature(block("L11-L15", "L16-L20"), "cases; restatement; the write-up")
    assert spans(marked(CHAIN, notes)) == [["11-15", "16-20"]]
    answered = CHAIN.replace(line(9), "So the answer is \\boxed{7}.")
    assert unused(marked(answered, notes)) == ["restatement"]


def test_threads_shorter_than_an_outline_are_joined():
    short = CHAIN.replace(line(6), "Six.").replace(line(9), "Nine, and no more.")
    found = marked(short, block("L3-L5", "L6", "L7-L8", "L9"))
    assert (
        spans(found) == [["3-5", "6-9"]] or spans(found) == [["3-5", "6-8", "9-9"]] or spans(found) == [["3-6", "7-9"]]
    )
    assert all(
        len(thread) >= 120
        for item in markup.parse(found.trajectory).blocks
        for thread in [t.body for t in item.threads]
    )
    assert given_back(found, short)


def test_blocks_out_of_order_are_both_used():
    found = marked(CHAIN, block("L20-L23", "L24-L28") + block("L3-L5", "L6-L9"))
    assert spans(found) == [["3-5", "6-9"], ["20-23", "24-28"]]
    assert given_back(found)


def test_a_thread_of_blank_lines_is_not_a_thread():
    chain = CHAIN.replace(line(4), " ").replace(line(5), "\r")
    assert spans(marked(chain, block("L1-L3", "L4-L5", "L6-L9"))) == [["1-5", "6-9"]]
    assert unused(marked(chain, block("L1-L3", "L4-L5"))) == ["single_thread"]


# ---- threads that depend on each other

DEFINES = f"Let $Q_7 = 4913$, and so on.\n{line(1)}"
USES = f"Now by what we found above, $Q_7 + 2$ is $4915$.\n{line(2)}"


def test_threads_that_certainly_depend_become_one():
    found = marked(f"{DEFINES}\n{USES}", block("L1-L2", "L3-L4"))
    assert unused(found) == ["dependent"]
    (note,) = [note for note in found.lineage.notes if note["kind"] == "merged"]
    assert note["lines"] == ["L1-L2", "L3-L4"] and note["evidence"] and note["what"]


def test_everything_between_two_dependent_threads_is_merged_with_them():
    chain = f"{DEFINES}\n{line(3)}\n{line(4)}\n{USES}\n{line(5)}\n{line(6)}"
    found = marked(chain, block("L1-L2", "L3-L4", "L5-L6", "L7-L8"))
    assert spans(found) == [["1-6", "7-8"]]
    assert given_back(found, chain)


def test_merging_can_be_left_out():
    found = marked(f"{DEFINES}\n{USES}", block("L1-L2", "L3-L4"), merge_dependent=False, threshold=0)
    assert spans(found) == [["1-2", "3-4"]]


def test_what_the_problem_says_is_known_to_every_thread():
    chain = f"First we note that $Q_7 = 4913$ is odd.\n{line(1)}\nEvery odd number, $Q_7 + 2$ being one, ends in an odd digit.\n{line(2)}"
    assert unused(marked(chain, block("L1-L2", "L3-L4"))) == ["dependent"]
    found = marked(chain, block("L1-L2", "L3-L4"), threshold=0, problem="Let $Q_7 = 4913$. Is $Q_7$ odd?")
    assert [note for note in found.lineage.notes if note["kind"] == "merged" and note["what"] == "Q_7"] == []
    assert spans(found) == [["1-2", "3-4"]]


def test_too_many_threads_are_refused_without_comparing_all_pairs():
    chain = "\n".join(f"Let x_{n} = {n}, so that x_{n - 1} is as above." for n in range(400))
    begun = time.process_time()
    assert unused(marked(chain, block(*(f"L{n}-L{n + 1}" for n in range(1, 400, 2))))) == ["too_many_threads"]
    assert time.process_time() - begun < 2


def test_many_blocks_of_a_long_chain_are_extracted_quickly():
    chain = "\n".join(f"Step {n}: {WORDS}, and $x_{n} = {n * 7}$ follows." for n in range(2000))
    notes = "".join(block(f"L{n}-L{n + 3}", f"L{n + 4}-L{n + 7}") for n in range(1, 1990, 8))
    begun = time.process_time()
    found = marked(chain, notes)
    assert time.process_time() - begun < 5
    assert given_back(found, chain)


# ---- conservation


@st.composite
def cases(draw) -> tuple[str, str, int, bool]:
    chain = draw(strategies.chains())
    notes = draw(strategies.annotations(chain.count("\n") + 5))
    if draw(st.integers(0, 5)) == 0:  # two threads of which the second surely uses the first
        chain, notes = f"{DEFINES}\n{USES}\n{chain}", block("L1-L2", "L3-L4") + notes
    return chain, notes, draw(st.sampled_from((0, 0, 5, 200))), draw(st.booleans())


def held(text: str, record: Lineage, chain: str) -> markup.Trajectory:
    """Return the trajectory, after checking that the chain can be restored and every block has the canonical form."""
    trajectory = markup.parse(text)
    assert restore(trajectory, Lineage.from_json(record.to_json())) == chain
    for item in trajectory.blocks:
        assert text[item.start : item.end] == markup.canonical(item)
        assert text[item.end : item.end + 1] in ("", "\n") and (not item.start or text[item.start - 1] == "\n")
    return trajectory


@settings(max_examples=200)
@given(cases(), st.data())
def test_nothing_is_lost_whatever_the_chain_the_annotation_and_the_edits(case, data):
    chain, notes, threshold, merge = case
    found = marked(chain, notes, threshold=threshold, merge_dependent=merge)
    trajectory = held(found.trajectory, found.lineage, chain)
    assert len(annotation.parse(notes, chain.split("\n")).blocks) <= len(found.lineage.blocks) + len(
        found.lineage.unused
    )

    for _ in range(data.draw(st.integers(1, 2))):
        asked = edit_questions(trajectory, found.lineage)
        assert all(chain.startswith(question.context) for question in asked), "the chain's own text"
        answers = [
            (question, {number: data.draw(strategies.replacements(body)) for number, body in question.passages.items()})
            for question in asked
        ]
        text, record = rewriting.apply_answers(trajectory, found.lineage, answers)
        trajectory = held(text, record, chain)
        found = Extraction(text, record)

    outlines = [[data.draw(strategies.bodies) for _ in item.threads] for item in trajectory.blocks]
    if all(
        describe_unfit(texts, len(item.threads)) is None
        for texts, item in zip(outlines, trajectory.blocks, strict=True)
    ):
        trajectory = held(outlining.insert_outlines(trajectory, outlines), found.lineage, chain)
        assert all(len(item.outlines) == len(item.threads) for item in trajectory.blocks)


@settings(max_examples=300)
@given(cases())
def test_the_strategies_reach_blocks_and_losses_alike(case):
    """A property test that never makes a block would always hold; the counts are checked below."""
    chain, notes, threshold, merge = case
    found = marked(chain, notes, threshold=threshold, merge_dependent=merge)
    for problem in annotation.parse(notes, chain.split("\n")).defects:
        _reached[str(problem.code)] += 1
    _reached["blocks"] += bool(found.lineage.blocks)
    _reached["several"] += len(found.lineage.blocks) > 1
    _reached["white space"] += any(
        thread.before or thread.after.strip("\n") for item in found.lineage.blocks for thread in item.threads
    )
    _reached.update({item.code for item in found.lineage.unused})


_reached: Counter[str] = Counter()


def test_the_strategies_reached_them_all():
    wanted = {*map(str, Code), "blocks", "several", "white space", "tag_in_passage", "low_information", "dependent"}
    assert {name for name in wanted if _reached[name] < 3} == set(), _reached
