"""Prompt files: turns, placeholders, the fallback along a lineage; every fault is reported before any call."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.annotators.llm import PLACEHOLDERS, PROMPTS, prompts
from threadweaver.errors import UserError
from threadweaver.trajectory import annotation


def write(tmp_path, text, name="step1-prompt_v1.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_turns_are_separated_by_a_line_of_three_hyphens_alone(tmp_path):
    path = write(tmp_path, "one {{a}}\n---\ntwo --- still\n--- no\n----\n  ---\n--- \nthree\n")
    prompt = prompts.load(path, ["a"])
    assert prompt.turns == ("one {{a}}", "two --- still\n--- no\n----\n  ---", "three")
    assert prompt.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_windows_file_gives_the_same_turns(tmp_path):
    unix = prompts.load(write(tmp_path, "one\nmore {{a}}\n---\ntwo\n", "u.txt"), ["a"])
    windows = prompts.load(write(tmp_path, "\ufeffone\r\nmore {{a}}\r\n---\r\ntwo\r\n", "w.txt"), ["a"])
    assert windows.turns == unix.turns


@given(st.text(), st.text())
def test_values_are_put_in_as_they_are_and_never_looked_at_again(one, two):
    prompt = prompts.Prompt("p", ("<{{a}}|{{ b }}>", "{{b}}"), "")
    assert prompt.fill({"a": one + "{{b}}\\1", "b": two}) == (f"<{one}{{{{b}}}}\\1|{two}>", two)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{problem}} {{chian}} {{chain}}", "unknown placeholder {{chian}}"),
        ("{{problem}}", "lacks {{chain}}"),
        ("{{problem}} {{chain}}\n---\n\n---\nmore", "turn 2 is empty"),
        ("---\n{{problem}} {{chain}}", "turn 1 is empty"),
        ("", "turn 1 is empty"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_prompt_at_fault_is_one_line_that_names_it(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        prompts.load(path, ["problem", "chain"])
    assert message in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_prompt_is_named(tmp_path):
    with pytest.raises(UserError, match="--prompt"):
        prompts.load(tmp_path / "none.txt", [])


@pytest.mark.parametrize(
    ("asked", "there", "found"),
    [
        ("step3-prompt_v2_v1.txt", "step3-prompt_v1_v1.txt", "step3-prompt_v1_v1.txt"),
        ("step4-prompt_v2_v1_v1.txt", "step4-prompt_v1_v1_v1.txt", "step4-prompt_v1_v1_v1.txt"),
        ("step4-prompt_v2_v3_v2.txt", "step4-prompt_v1_v1_v2.txt", "step4-prompt_v1_v1_v2.txt"),
        ("step3-prompt_v2_v2.txt", "step3-prompt_v1_v1.txt", "step3-prompt_v2_v2.txt"),
        ("step1-prompt_v2.txt", "step1-prompt_v1.txt", "step1-prompt_v2.txt"),
        ("mine.txt", "step1-prompt_v1.txt", "mine.txt"),
    ],
)
def test_only_the_versions_of_earlier_stages_fall_back_to_v1(tmp_path, capsys, asked, there, found):
    write(tmp_path, "x", there)
    assert prompts.resolve(tmp_path / asked).name == found
    assert capsys.readouterr().err == (f"{asked} was not found: {found} is used\n" if asked != found else "")


def test_an_existing_prompt_is_used_without_a_message(tmp_path, capsys):
    path = write(tmp_path, "x", "step3-prompt_v2_v1.txt")
    write(tmp_path, "x", "step3-prompt_v1_v1.txt")
    assert prompts.resolve(path) == path and capsys.readouterr().err == ""


@pytest.mark.parametrize(("question", "name"), [item for item in PROMPTS.items() if item[0] != "findings"])
def test_the_shipped_prompts_are_one_turn_and_send_everything_once(question, name):
    prompt = prompts.load(prompts.FOLDER / name, PLACEHOLDERS[question])
    (turn,) = prompt.turns
    assert all(turn.count(f"{{{{{name}}}}}") == 1 for name in PLACEHOLDERS[question])


def test_what_all_samples_share_comes_first_and_what_steps_3_and_4_share_of_a_block():
    """A prefix cache serves the instructions of step 1, and problem and context of a block."""
    loaded = {name: prompts.load(prompts.FOLDER / PROMPTS[name], PLACEHOLDERS[name]).turns[0] for name in PLACEHOLDERS}
    assert len(loaded["steps"].partition("{{")[0]) > 0.95 * len(loaded["steps"])
    edits, outlines = (loaded[name].partition("</context>")[0] for name in ("edits", "outlines"))
    assert edits == outlines and edits.index("{{problem}}") < edits.index("{{context}}")


def test_the_example_of_step_1_is_what_the_program_reads():
    prompt = (prompts.FOLDER / PROMPTS["steps"]).read_text()
    example = prompt[prompt.index("\nS1: ") : prompt.index("\nEach tag is")]
    chain = ["line"] * 135
    for blank in (10, 41, 45, 64, 94, 98, 113, 132):
        chain[blank - 1] = ""
    found = annotation.parse(example, chain)
    assert not found.defects and [block.kind for block in found.blocks] == ["attempts", "cases", "checks"]
    assert [block.novelty for block in found.blocks] == ["new work", "new work", "re-check"]
    assert all(
        thread.passed and thread.takes.startswith("nothing") for block in found.blocks for thread in block.threads
    )
    outer, inner, _ = found.blocks
    assert outer.lines.overlaps(inner.lines), "candidates may nest"
