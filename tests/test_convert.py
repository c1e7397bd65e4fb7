"""Conversion: each output to its own problem, one cut, every loss with its reason, rows that the next stage reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

import generated_data_to_training_data_polaris as command
from threadweaver.corpus import chat
from threadweaver.corpus.contamination import Benchmarks
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.schemas import to_sample
from threadweaver.corpus.thinking import THINK_TAGS, FailedCut, cut, unwrap
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.errors import UserError
from threadweaver.generation import conversion
from threadweaver.generation.conversion import Chain, Loss
from threadweaver.generation.outputs import read_outputs
from threadweaver.generation.problems import read_problems
from threadweaver.grading import Verdict
from threadweaver.runs.folder import read_account
from threadweaver.samples import read_collected
from threadweaver.trajectory import markup

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample"
TOKENIZER = SAMPLE / "tokenizer"
STRIPPING = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '<User>' + m.content }}{% else %}"
    "{{ '<Bot>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<Bot><think>\\n' }}{% endif %}"
)
"""Drops the think block of an assistant's turn and opens it in the prompt, as DeepSeek-R1's template does."""


# ---------------------------------------------------------------------------------------------------------------
# helpers


def problems_file(path: Path, rows: list[tuple[str, object]]) -> Path:
    table = [
        {"prompt": [{"role": "user", "content": text}], "reward_model": {"ground_truth": answer, "style": "rule"}}
        for text, answer in rows
    ]
    parquet.write_table(pa.Table.from_pylist(table), path)
    return path


def output(answer: object, thinking: str = "Let me think.") -> str:
    return f"<think>\n{thinking}\n</think>\n\nThe answer is \\boxed{{{answer}}}."


class Run:
    """One conversion in a folder of its own; `outputs` is what --dataset-json holds."""

    def __init__(self, folder: Path, problems: list[tuple[str, object]], outputs: list[list[str | None]] | None = None):
        self.folder = folder
        self.parquet = problems_file(folder / "problems.parquet", problems)
        self.json = folder / "some-data_1.json"
        if outputs is not None:
            self.json.write_text(json.dumps(outputs))

    def __call__(self, *flags: str, jsons: list[Path] | None = None) -> int:
        return command.main(
            [
                "--dataset-json",
                *map(str, jsons or [self.json]),
                "--polaris-parquet",
                str(self.parquet),
                "--tokenizer",
                str(TOKENIZER),
                "--output-dir",
                str(self.folder / "out"),
                "--workers",
                "1",
                *flags,
            ]
        )

    def lines(self, name: str = "some_data_1_json") -> list[dict]:
        return [
            json.loads(line) for line in (self.folder / "out" / name / "train.jsonl").read_text().split("\n") if line
        ]

    def rows(self, base: str = "some_data_1") -> list[dict]:
        return parquet.read_table(self.folder / "out" / f"{base}_1k" / "train.parquet").to_pylist()

    def reasons(self, base: str = "some_data_1") -> dict[str, str | None]:
        return {entry.id: entry.reason for entry in read_account(self.folder / "out" / f"{base}_account")}


def journal(path: Path, records: list[tuple[int, int, str]]) -> Path:
    keys = ("message_idx", "sample_idx", "result")
    path.write_text("".join(json.dumps(dict(zip(keys, record, strict=True))) + "\n" for record in records))
    return path


def chain(row: int, sample: int = 0, thinking: str = "a", problem: str = "", verdict: str = "correct") -> Chain:
    return Chain(row, sample, problem or f"problem {row}", thinking, "", "1", Verdict(verdict, "exact", True))


# ---------------------------------------------------------------------------------------------------------------
# the cut


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>\nA\n\nB\n</think>\n\nC", ("A\n\nB", "C")),
        ("A\n</think>\nC", ("A", "C")),  # the prompt opened the block
        ("\n <think>A</think>", ("A", "")),
        ("A", "no_think_tags"),
        ("<think>\nA", "not_closed"),
        ("<think></think>C", ("", "C")),
        ("<think>A</think>B</think>C", "ambiguous_cut"),
        ("<think>A <think> B</think>C", "ambiguous_cut"),
        ("A</think>B <think>C", "ambiguous_cut"),
        ("Sure. <think>A</think>B", "ambiguous_cut"),
    ],
)
def test_the_cut(text, expected):
    result = cut(text)
    assert (result.reason if isinstance(result, FailedCut) else result) == expected


def test_other_tags_are_read_beside_the_usual_ones_and_pairs_do_not_mix():
    pairs = [THINK_TAGS, ("<|a|>", "<|b|>")]
    assert cut("<|a|>x<|b|>y", pairs) == cut("<think>x</think>y", pairs) == ("x", "y")
    assert cut("<think>x<|b|>y", pairs).reason == "ambiguous_cut"
    assert cut("<|a|>x<|b|>y").reason == "no_think_tags"


def test_tags_around_the_answer_are_taken_off():
    assert unwrap("<|s|>\n5\n<|e|>\n", [("<|s|>", "<|e|>")]) == "5"
    assert unwrap("5 <|e|>", [("<|s|>", "<|e|>")]) == "5 <|e|>"


@given(st.text(alphabet=st.sampled_from("ab <>/\n\r\u2028\x85"), min_size=1), st.text(alphabet="c\n \u2028"))
def test_the_cut_loses_nothing_but_blank_lines_at_the_edges(thinking, answer):
    for before, after in zip((thinking, answer), cut(f"<think>{thinking}</think>{answer}"), strict=True):
        head, found, tail = before.partition(after) if after else (before, "", "")
        assert found == after and not (head + tail).strip()
        assert head == "" or after == "" or head.endswith("\n")
        assert tail == "" or tail.startswith("\n")
        assert all(line.strip() for line in (after.split("\n")[0], after.split("\n")[-1])) or after == ""


def test_white_space_that_is_no_blank_line_stays():
    assert cut("<think>\n \n  A \r\n\n</think> \n\n\tB ") == ("  A \r", "\tB ")


def test_what_is_graded_is_what_is_saved(tmp_path):
    """Two closing tags: whichever cut is graded, another reader would save the other answer."""
    twice = "<think>a</think> \\boxed{1} </think> \\boxed{2}"
    run = Run(
        tmp_path,
        [("p", "1"), ("q", "2"), ("r", "3"), ("s", "4")],
        [[twice], [twice], ["<think>so \\boxed{3}</think>"], ["<think>so \\boxed{4}</think>It is \\boxed{5}."]],
    )
    run()
    assert run.reasons() == {"0-0": "ambiguous_cut", "1-0": "ambiguous_cut", "2-0": None, "3-0": "wrong"}
    assert [(row["response_reasoning"], row["response_content"]) for row in run.rows()] == [("so \\boxed{3}", "")]


# ---------------------------------------------------------------------------------------------------------------
# each output to its own problem


def test_splits_count_their_rows_from_their_own_beginning(tmp_path):
    """Five rows in two splits: 0-2 and 3-4. Graded against the rows of split 0, split 1 would be all wrong."""
    run = Run(tmp_path, [(f"problem {k}", str(k)) for k in range(5)])
    first = tmp_path / "some-data_1_split0_of_2.json"
    first.write_text(json.dumps([[output(0)], [output(1)], [output(2)]]))
    second = journal(tmp_path / "some-data_1_split1_of_2.jsonl", [(1, 0, output(4)), (0, 0, output(3))])
    run(jsons=[second, first])
    assert [(row["question"], row["ground_truth"], row["message_idx"]) for row in run.rows()] == [
        (f"problem {k}", str(k), k) for k in range(5)
    ]


def test_a_split_alone_keeps_its_name_and_what_is_missing_is_said(tmp_path, capsys):
    run = Run(tmp_path, [(f"problem {k}", str(k)) for k in range(5)])
    run(jsons=[journal(tmp_path / "some-data_1_split1_of_2.jsonl", [(0, 0, output(3))])])
    assert [row["question"] for row in run.rows("some_data_1_split1_of_2")] == ["problem 3"]
    told = capsys.readouterr().err
    assert "split 0" in told and "4 of 5 problems have no output" in told


def test_a_journal_is_read_whatever_the_order_and_a_half_line_hides_nothing(tmp_path, capsys):
    run = Run(tmp_path, [("p", "1"), ("q", "2")])
    path = journal(
        tmp_path / "some-data_1.jsonl", [(1, 0, output(2)), (0, 1, output(1)), (0, 0, output(1)), (0, 0, "again")]
    )
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], lines[1][:30], *lines[1:]]) + '{"message_idx": 1, "sam')
    run(jsons=[path])
    assert [(row["message_idx"], row["sample_idx"]) for row in run.rows()] == [(0, 0), (0, 1), (1, 0)]
    lost = {id: reason for id, reason in run.reasons().items() if reason}
    assert set(lost.values()) == {"unreadable_line"} and len(lost) == 2
    assert "line 2 is cut off" in capsys.readouterr().err


def test_several_samples_of_a_problem_and_failed_ones(tmp_path):
    run = Run(tmp_path, [("p", "1"), ("q", "2")], [[output(1), None, output(7)], [" ", output(2)]])
    run("--keep-wrong")
    assert run.reasons() == {"0-0": None, "0-1": "no_output", "0-2": None, "1-0": "no_output", "1-1": None}
    assert [row["correct"] for row in run.rows()] == [True, False, True]


# ---------------------------------------------------------------------------------------------------------------
# losses


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
    assert sum(int(line.split()[2]) for line in printed.split("\n") if line.startswith("  rejected: ")) == 11


def test_undecided_is_neither_kept_nor_wrong_unless_asked_for(tmp_path):
    run = Run(tmp_path, [("p", "1"), ("q", "9" * 30)], [[output(1)], [output("9**9**9**9")]])
    run()
    assert run.reasons() == {"0-0": None, "1-0": "undecided"}
    run("--keep-undecided", "--overwrite")
    assert [(row["correct"], row["correctness"], row["correct_rl"]) for row in run.rows()] == [
        (True, True, True),
        (None,) * 3,
    ]


def test_of_equal_problems_the_first_that_still_has_a_chain_stays():
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
    assert conversion.draw(chains, 10, 3) == conversion.draw(chains, 10, 3) != conversion.draw(chains, 10, 4)


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


def test_a_markup_tag_in_the_answer_is_no_training_example():
    item = Chain(0, 0, "p", f"So\n{BLOCK}", "see <Thread>", "1")
    assert next(iter(conversion.parallel([item]))).reason == "contains_markup"


def test_max_tokens_counts_what_a_trainer_holds():
    """A tag is one token, and every thread but the first stands twice."""
    form = conversion.Form(load_tokenizer(str(TOKENIZER)))
    longer = markup.write_block(["x is 1", "word " * 50], ["find x", "find y"])
    plain, block = chain(0, thinking="word " * 50), chain(1, thinking=longer)
    lengths = list(form.lengths([plain, block]))
    assert lengths[0] == form.tokenizer.count(form.text(plain))
    assert lengths[1] > form.tokenizer.count(form.text(block)) + 50


# ---------------------------------------------------------------------------------------------------------------
# benchmarks


PUZZLE = (
    "A farmer has seventeen sheep and all but nine of them run away before dinner. How many sheep are left at the end?"
)
STOCK = "The answer can be written as m/n where m and n are relatively prime positive integers. Find m+n."


@pytest.mark.parametrize(
    ("problem", "hit"),
    [
        (PUZZLE, True),
        (PUZZLE.upper().replace(" ", "  ") + " " + chat.INSTRUCTION, True),
        ("Recall: " + PUZZLE + " Then add four.", True),
        (PUZZLE[:76] + " What is the number of sheep that he still owns?", True),  # the first half
        (f"Two dice are thrown until both show six. {STOCK}", False),
        ("What is 2+2?", True),
        ("What is 2+2? And what is 3+3, added to it?", False),  # shorter than an n-gram: only the whole counts
    ],
)
def test_a_benchmark_problem_is_known_again(problem, hit):
    texts = [
        PUZZLE,
        f"A needle of length one is thrown on a floor with parallel lines at distance two. {STOCK}",
        "what is 2 + 2",
    ]
    found = Benchmarks((str(k), text) for k, text in enumerate(texts)).find(conversion.bare(problem, ""))
    assert bool(found) == hit


def test_decontaminate_names_the_benchmark_and_the_instruction_is_no_overlap(tmp_path):
    problems = [(f"{PUZZLE} {chat.INSTRUCTION}", "9"), (f"Add one and two. {chat.INSTRUCTION}", "3")]
    run = Run(tmp_path, problems, [[output(9)], [output(3)]])
    bench = tmp_path / "bench.parquet"
    texts = [f"{text} {chat.INSTRUCTION}" for text in (PUZZLE, "Add five and six.")]
    parquet.write_table(
        pa.table({"prompt": [[{"role": "user", "content": text}] for text in texts]}), bench
    )  # no answers
    run("--decontaminate", str(bench))
    entries = {entry.id: entry for entry in read_account(tmp_path / "out" / "some_data_1_account")}
    assert (entries["0-0"].reason, entries["0-0"].facts["detail"]) == ("contaminated", "bench.parquet, row 0")
    assert entries["1-0"].outcome == "ok"


# ---------------------------------------------------------------------------------------------------------------
# rows


def test_the_instruction_stands_once_whether_or_not_the_problem_has_it(tmp_path):
    run = Run(tmp_path, [("Add 1 and 1.", "2"), (f"Add 1 and 2. {chat.INSTRUCTION}", "3")], [[output(2)], [output(3)]])
    run()
    for line, row in zip(run.lines(), run.rows(), strict=True):
        assert line["messages"][0]["content"].count(chat.INSTRUCTION) == 1
        assert row["qwen_text"].count(chat.INSTRUCTION) == 1
        assert line["messages"] == row["raw_messages"]


def test_the_next_stage_reads_the_rows(tmp_path):
    run = Run(tmp_path, [("p", "1"), ("q", "2")], [[output(1, "first\n\nsecond")], [output(5)]])
    run("--keep-wrong")
    read = read_rows(tmp_path / "out" / "some_data_1_1k")
    samples = [to_sample(row, "d") for row in read]
    assert [(item.problem, item.solution, item.correctness) for item in samples] == [
        ("p", "1", True),
        ("q", "2", False),
    ]
    assert (samples[0].thinking, samples[0].output) == ("first\n\nsecond", "The answer is \\boxed{1}.")
    columns = set(parquet.read_schema(tmp_path / "out" / "some_data_1_1k" / "train.parquet").names)
    assert not columns & {"prompt", "completion", "messages", "conversations", "input_ids"}


@pytest.mark.parametrize("answers", [["1", "2"], [1, 2], [["1", "01"], ["2"]]])
def test_a_reference_keeps_its_kind(tmp_path, answers):
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


def test_repeats_and_the_drawn_rows(tmp_path):
    run = Run(tmp_path, [(f"p{k}", str(k)) for k in range(12)], [[output(k)] for k in range(12)])
    run("--sample-size", "5", "--repeats", "3")
    everything, drawn = run.lines(), run.lines("some_data_1_1k_json")
    assert len(everything) == 12 and len(drawn) == 5 == len(run.rows())
    assert run.lines("some_data_1_3x_json") == everything * 3
    assert drawn == [line for line in everything if line in drawn]
    run("--overwrite")
    assert not (tmp_path / "out" / "some_data_1_3x_json" / "train.jsonl").exists()


def test_the_same_inputs_give_the_same_bytes_and_a_rerun_does_nothing(tmp_path, capsys):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run = Run(tmp_path / name, [(f"p{k}", str(k)) for k in range(6)], [[output(k), output(k)] for k in range(6)])
        run("--per-problem", "1", "--per-problem-rule", "random", "--sample-size", "4")
        files = sorted(path for path in (run.folder / "out").rglob("*") if path.is_file() and path.name != ".lock")
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1] and len(contents[0]) == 6
    capsys.readouterr()
    run("--per-problem", "1", "--per-problem-rule", "random", "--sample-size", "4")
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(UserError, match="per_problem"):
        run("--sample-size", "4")


# ---------------------------------------------------------------------------------------------------------------
# the user's to mend


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "not a list of lists"),
        ('["a"]', "item 0 is a str"),
        ("[[1]]", "sample 0 of item 0 is a int"),
        ('[["a"], ["b"]]', "problem 1, but the parquet has 1 rows"),
        ('[["a"', "damaged"),
        ("[]", "holds no outputs"),
        ('[["no tags"]]', "no row is left"),
    ],
)
def test_outputs_that_are_none(tmp_path, content, said):
    run = Run(tmp_path, [("p", "1")])
    run.json.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        run()
    assert "\n" not in str(caught.value)
    run.json.write_text(json.dumps([[output(1)]]))
    assert run() == 0  # what failed leaves nothing in the way


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": ["a"]}, "no column prompt"),
        ({"prompt": ["a"]}, "no column reward_model.ground_truth"),
        ({"prompt": ["a"], "reward_model": [{"style": "rule"}]}, "no column reward_model.ground_truth"),
        ({"prompt": ["a", " "], "reward_model": [{"ground_truth": "1"}] * 2}, "row 1 has an empty prompt"),
        (
            {"prompt": [[{"role": "user", "content": ""}]], "reward_model": [{"ground_truth": "1"}]},
            "row 0 has an empty prompt",
        ),
        (
            {
                "prompt": pa.array([], pa.string()),
                "reward_model": pa.array([], pa.struct([("ground_truth", pa.string())])),
            },
            "no rows",
        ),
    ],
)
def test_problems_that_are_none(tmp_path, columns, said):
    path = tmp_path / "p.parquet"
    parquet.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match=said):
        read_problems(path)


def test_files_that_do_not_belong_together(tmp_path):
    for name in ("a_split0_of_2.json", "a_split0_of_2.jsonl", "a_split1_of_3.json", "b.json"):
        (tmp_path / name).write_text("[]")
    for names, said in (
        (("a_split0_of_2.json", "a_split1_of_3.json"), "splits of one run"),
        (("a_split0_of_2.json", "b.json"), "splits of one run"),
        (("a_split0_of_2.json", "a_split0_of_2.jsonl"), "given twice"),
        (("c.json",), "not found"),
    ):
        with pytest.raises(UserError, match=said):
            read_outputs([tmp_path / name for name in names], 3)


def test_a_journal_of_something_else_and_files_of_another_tool_are_refused(tmp_path):
    run = Run(tmp_path, [("p", "1")], [[output(1)]])
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "a"}\n')
    with pytest.raises(UserError, match="line 1 is not a line of a journal"):
        run(jsons=[other])
    theirs = tmp_path / "out" / "some_data_1_json" / "train.jsonl"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    with pytest.raises(UserError, match="not written by this command"):
        run()
    assert theirs.read_text() == "theirs"
    assert run("--overwrite") == 0


# ---------------------------------------------------------------------------------------------------------------
# the sample


def test_the_sample_is_converted_and_collected_by_the_commands(tmp_path):
    def command_line(script: str, *flags: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "src" / script), *flags], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    flags = ["--dataset-json", "data/sample/sample_1.json", "--polaris-parquet", "data/sample/problems.parquet"]
    flags += ["--tokenizer", "data/sample/tokenizer", "--output-dir", str(tmp_path), "--workers", "1"]
    assert "36 samples" in command_line("generated_data_to_training_data_polaris.py", *flags)
    reasons = Counter(entry.reason for entry in read_account(tmp_path / "sample_1_account"))
    marked = [row.fields for row in read_rows(SAMPLE / "chains.jsonl")]
    assert reasons[None] == sum(row["correctness"] for row in marked[:35])
    assert reasons == {None: reasons[None], "wrong": 35 - reasons[None], "not_closed": 1}
    command_line(
        "collect_trajectories.py", "--dataset_path", str(tmp_path / "sample_1_1k"), "--output_path", str(tmp_path / "c")
    )
    chains = {row["problem"]: row["thinking"] for row in marked}
    collected = read_collected(tmp_path / "c")
    assert len(collected) == reasons[None] and all(sample.thinking == chains[sample.problem] for sample in collected)


def test_a_fault_of_the_user_is_one_line_and_exit_2(tmp_path):
    script = ROOT / "src" / "generated_data_to_training_data_polaris.py"
    flags = ["--dataset-json", str(SAMPLE / "chains.jsonl"), "--polaris-parquet", str(SAMPLE / "problems.parquet")]
    flags += ["--output-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, str(script), *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
