"""From outputs to rows: every loss with its reason, and rows that the next stage reads."""

from __future__ import annotations

import json

import pytest

from converting import TOKENIZER, Run, chain, output
from threadweaver.corpus import chat
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.generation import conversion
from threadweaver.generation.conversion import Chain, Loss
from threadweaver.trajectory import markup

STRIPPING = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '<User>' + m.content }}{% else %}"
    "{{ '<Bot>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<Bot><think>\\n' }}{% endif %}"
)
"""Drops the think block of an assistant's turn and opens it in the prompt, as DeepSeek-R1's template does."""


def test_what_is_graded_is_what_is_saved(tmp_path):
    """Two closing tags: whichever answer is graded, another reader would save the other one."""
    twice = "<think>a</think> \\boxed{1} </think> \\boxed{2}"
    run = Run(
        tmp_path,
        [("p", "1"), ("q", "2"), ("r", "3"), ("s", "4")],
        [[twice], [twice], ["<think>so \\boxed{3}</think>"], ["<think>so \\boxed{4}</think>It is \\boxed{5}."]],
    )
    run()
    assert run.reasons() == {"0-0": "ambiguous_cut", "1-0": "ambiguous_cut", "2-0": None, "3-0": "wrong"}
    assert [(row["response_reasoning"], row["response_content"]) for row in run.rows()] == [("so \\boxed{3}", "")]


def test_several_samples_of_a_problem_and_failed_ones(tmp_path):
    run = Run(tmp_path, [("p", "1"), ("q", "2")], [[output(1), None, output(7)], [" ", output(2)]])
    run("--keep-wrong")
    assert run.reasons() == {"0-0": None, "0-1": "no_output", "0-2": None, "1-0": "no_output", "1-1": None}
    assert [row["correct"] for row in run.rows()] == [True, False, True]


def test_every_sample_is_accounted_for_and_the_reasons_add_up(tmp_path, capsys):
    run = Run(
        tmp_path,
        [("p", "1"), ("q", "2"), ("P ", "1"), ("r", None)],
        [
            [output(1), output(1), output(9), "<think>\ncut off", "plain", "<think>a</think>no box", output(1, " ")],
            [output(2, "so <|im_end|> is"), output(2, "word " * 400), "<think>\ud800</think>\\boxed{2}"],
            [output(1)],
            [output(5)],
        ],
    )
    run("--dedupe", "--per-problem", "1", "--max-tokens", "300")
    assert run.reasons() == {
        "0-0": None,
        "0-1": "over_per_problem",
        "0-2": "wrong",
        "0-3": "not_closed",
        "0-4": "no_think_tags",
        "0-5": "no_answer",
        "0-6": "no_thinking",
        "1-0": "special_token",
        "1-1": "over_max_tokens",
        "1-2": "broken_unicode",
        "2-0": "duplicate_problem",
        "3-0": "no_reference",
    }
    manifest = json.loads((tmp_path / "out" / "some_data_1_account" / "manifest.json").read_text())
    assert manifest["samples"] == 12 == sum(manifest["outcomes"].values())
    printed = capsys.readouterr().out
    assert "12 samples: 1 ok, 11 rejected" in printed
    assert sum(int(line.split()[0]) for line in printed.split("\n") if " rejected: " in line) == 11


def test_undecided_is_neither_kept_nor_wrong_unless_asked_for(tmp_path):
    run = Run(tmp_path, [("p", "1"), ("q", "9" * 30)], [[output(1)], [output("9**9**9**9")]])
    run()
    assert run.reasons() == {"0-0": None, "1-0": "undecided"}
    run("--keep-undecided", "--overwrite")
    assert [(row["correct"], row["correctness"], row["correct_rl"]) for row in run.rows()] == [
        (True, True, True),
        (None,) * 3,
    ]


def test_of_equal_problems_the_first_with_a_chain_left_is_kept():
    chains = [chain(1, problem="Find $x$."), chain(2, problem="find x"), chain(1, 1, problem="Find $x$.")]
    assert [item.reason if isinstance(item, Loss) else item.id for item in conversion.dedupe(chains)] == [
        "1-0",
        "duplicate_problem",
        "1-1",
    ]


@pytest.mark.parametrize(("rule", "expected"), [("first", {"0-0", "0-1"}), ("shortest", {"0-1", "0-2"})])
def test_chains_of_a_problem(rule, expected):
    chains = [chain(0, 0, "long thinking"), chain(0, 1, "short"), chain(0, 2, "short"), chain(1, 0)]
    kept = {item.id for item in conversion.at_most(2, rule, 0)(chains) if isinstance(item, Chain)}
    assert kept == expected | {"1-0"}


def test_a_random_choice_depends_on_the_seed_alone():
    chains = [chain(row, sample) for row in range(20) for sample in range(4)]

    def chosen(seed: int) -> list[str]:
        return [item.id for item in conversion.at_most(1, "random", seed)(chains) if isinstance(item, Chain)]

    assert len(chosen(0)) == 20 and chosen(0) == chosen(0) != chosen(1)
    assert conversion.draw(80, 10, 3) == conversion.draw(80, 10, 3) != conversion.draw(80, 10, 4)
    assert conversion.draw(3, 10, 0) == [0, 1, 2]


BLOCK = markup.write_block(["x is 1", "y is 2"], ["find x", "find y"])


@pytest.mark.parametrize(
    ("thinking", "reason"),
    [
        (f"So\n{BLOCK}\nDone", None),
        ("no block at all", "no_block"),
        (f"So\n{BLOCK.replace('</Parallel>', '')}\nDone", "unbalanced_tag"),
        (BLOCK.replace("2: y is 2", "3: y is 2"), "numbering"),
    ],
)
def test_require_parallel(thinking, reason):
    (result,) = conversion.parallel([chain(0, thinking=thinking)])
    assert (result.reason if isinstance(result, Loss) else None) == reason


def test_a_generated_block_is_saved_in_the_canonical_form():
    loose = BLOCK.replace("</Thread><Thread>", "</Thread>\n\n<Thread>\n").replace("1: x", "1:  x")
    (result,) = conversion.parallel([chain(0, thinking=f"So\n{loose}\nDone")])
    assert result.thinking == f"So\n{BLOCK}\nDone"


def test_a_markup_tag_in_the_answer_is_rejected():
    item = Chain(0, 0, "p", f"So\n{BLOCK}", "see <Thread>", "1")
    assert next(iter(conversion.parallel([item]))).reason == "contains_markup"


def test_max_tokens_counts_what_a_trainer_holds():
    """A tag is one token, and every thread but the first counts twice."""
    form = conversion.Form(load_tokenizer(str(TOKENIZER)))
    longer = markup.write_block(["x is 1", "word " * 50], ["find x", "find y"])
    plain, block = chain(0, thinking="word " * 50), chain(1, thinking=longer)
    lengths = list(form.lengths([plain, block]))
    assert lengths[0] == form.tokenizer.count(form.text(plain))
    assert lengths[1] > form.tokenizer.count(form.text(block)) + 50


def test_the_instruction_appears_once_whether_or_not_the_problem_has_it(tmp_path):
    run = Run(tmp_path, [("Add 1 and 1.", "2"), (f"Add 1 and 2. {chat.INSTRUCTION}", "3")], [[output(2)], [output(3)]])
    run()
    for line, row in zip(run.lines(), run.rows(), strict=True):
        assert line["messages"][0]["content"].count(chat.INSTRUCTION) == 1
        assert row["qwen_text"].count(chat.INSTRUCTION) == 1
        assert line["messages"] == row["raw_messages"]


@pytest.mark.parametrize("answers", [["1", "2"], [1, 2], [["1", "01"], ["2"]]])
def test_a_reference_keeps_its_type(tmp_path, answers):
    run = Run(tmp_path, [("p", answers[0]), ("q", answers[1])], [[output(1)], [output(2)]])
    run()
    assert [row["ground_truth"] for row in run.rows()] == answers


@pytest.mark.parametrize("template", conversion.TEMPLATES)
@pytest.mark.parametrize("thinking", ["first this, then that", "2"])
def test_a_template_that_strips_the_think_block_does_not_lose_it(template, thinking):
    tokenizer = load_tokenizer(str(TOKENIZER))
    tokenizer.hf.chat_template = STRIPPING
    form = conversion.Form(tokenizer, template=template)
    text = form.text(Chain(0, 0, "Is it 2?", thinking, "It is 2.", "2"))
    assert text == f"<User>Is it 2? {chat.INSTRUCTION}<Bot><think>\n{thinking}\n</think>\nIt is 2.<|im_end|>"


def test_the_deepseek_template_adds_its_columns(tmp_path):
    run = Run(tmp_path, [("p", "1")], [[output(1)]])
    run("--template", "deepseek")
    (row,) = run.rows()
    assert "<think>\nLet me think.\n</think>" in row["deepseek_text"] and row["num_deepseek_tokens"] > 0
    assert row["num_qwen_tokens"] == load_tokenizer(str(TOKENIZER)).count(row["qwen_text"])
