"""Prompt files: turns, placeholders, the fallback along a lineage; every fault is reported before any call."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.annotators.llm import PLACEHOLDERS, PROMPTS, prompts
from threadweaver.errors import UserError


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


@pytest.mark.parametrize(
    ("question", "name", "turns"),
    [(question, name, 6 if question == "steps" else 1) for question, name in PROMPTS.items() if question != "findings"]
    + [("steps", "step1-prompt_v2.txt", 1)],
)
def test_the_shipped_prompts_load_with_the_instructions_before_all_that_differs(question, name, turns):
    prompt = prompts.load(prompts.FOLDER / name, PLACEHOLDERS[question])
    assert len(prompt.turns) == turns
    instructions = prompt.turns[0].partition("{{")[0]
    assert len(instructions) > 0.9 * len(prompt.turns[0]) - 300, "a prefix cache serves the text before the sample"
    whole = "\n".join(prompt.turns)
    assert all(whole.count(f"{{{{{name}}}}}") == 1 for name in PLACEHOLDERS[question]), "each is sent once"
