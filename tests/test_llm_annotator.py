"""The annotator that asks a model: replies judged before they are used, nothing taken in silence."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_answers
from fake_openai import FakeOpenAI
from threadweaver.annotators import llm
from threadweaver.annotators.llm import prompts, validation
from threadweaver.annotators.llm.annotator import LlmAnnotator
from threadweaver.annotators.llm.conversation import Conversation
from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.annotators.rules.wording import propose_edits
from threadweaver.client import Client, ClientSettings, GaveUp, Reply, ServerDown, Usage
from threadweaver.client.errors import ServerFault
from threadweaver.errors import UserError
from threadweaver.outlines.checks import CODES
from threadweaver.runs.flags import Flags
from threadweaver.samples import Sample
from threadweaver.trajectory import annotation
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

ROOT = Path(__file__).parents[1]
CHAIN = [f"line {number}" for number in range(1, 31)]
GOOD = """S1: reads (L1-L4)
<parallel>[Parallel reason: two cases]
<thread>
S2: even (L5-L9)
</thread> (range: L5-L9, check passed: uses L2 alone)
<thread>
S3: odd (L10-L20)
</thread> (range: L10-L20, check passed: uses L2 alone)
</parallel> (range: L5-L20)
S4: adds up (L21-L30)"""


def chains(count: int) -> list[Sample]:
    with open(ROOT / "data/sample/chains.jsonl", encoding="utf-8", newline="") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(count), strict=False)]
    return [Sample(at, row["uuid"], row["problem"], row["thinking"]) for at, row in enumerate(rows)]


# ------------------------------------------------------------------------------------------------------------
# judging step 1


def test_a_good_outline_is_accepted_and_ends_with_a_newline():
    assert validation.validate_annotation(CHAIN, GOOD, "") == validation.Validation(GOOD + "\n")


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        (
            "(range: L10-L20, check",
            "(range: L12-L20, check",
            "gap",
            "Block 1 (L5-L20), thread 1: no thread covers L10-L11.",
        ),
        ("(range: L10-L20, check", "(range: L8-L20, check", "overlap", "Block 1 (L5-L20), thread 1: L5-L9 and L8-L20."),
        ("L10-L20, check", "L90-L95, check", "out_of_file", "thread 2: L90-L95 of a chain of 30 lines."),
        (
            "(range: L10-L20, check passed: uses L2 alone)",
            "(range: L10-L20)",
            "missing_check",
            "Block 1 (L5-L20), thread 2",
        ),
        ("</parallel> (range: L5-L20)", "", "unbalanced_tag", "Block 1 (L5-L20): a <parallel> is never closed."),
        (
            "<thread>\nS3: odd (L10-L20)\n</thread> (range: L10-L20, check passed: uses L2 alone)\n",
            "",
            "single_thread",
            "Block 1 (L5-L9): 1 thread(s).",
        ),
    ],
)
def test_every_typed_problem_is_one_sentence_that_names_its_place(old, new, code, told):
    assert old in GOOD
    text = GOOD.replace(old, new)
    judgement = validation.validate_annotation(CHAIN, text, "")
    assert judgement.value, "the extraction mends it, or leaves the block sequential"
    fault = next(fault for fault in judgement.faults if fault.code == code)
    assert told in fault.sentence and fault.sentence in validation.listed(judgement.faults)


def test_every_code_of_the_annotation_has_its_advice():
    assert set(validation._ADVICE) == set(annotation.Code) - {annotation.Code.CHECK_FAILED}


def test_a_failed_check_is_an_answer_and_no_fault():
    failed = GOOD.replace("L10-L20, check passed: uses L2 alone", "L10-L20, check failed: takes k from L7")
    assert validation.validate_annotation(CHAIN, failed, "").faults == ()


@pytest.mark.parametrize("text", ["I see no steps here.", "<parallel>\n</parallel>", "```\n```", "[]"])
def test_an_outline_without_steps_is_unreadable(text):
    judgement = validation.validate_annotation(CHAIN, text, "")
    assert judgement.value is None and judgement.faults[0].code == "unreadable_annotation"
    assert json.dumps(text) in judgement.faults[0].sentence, "it is quoted"


def test_an_outline_in_a_fence_with_prose_around_it_is_read():
    assert validation.validate_annotation(CHAIN, f"Sure:\n```\n{GOOD}\n```\nDone.", "").faults == ()


def test_blocks_that_the_check_drops_in_silence_are_asked_for():
    bare = "S1: reads (L1-L30)"
    assert validation.validate_annotation(CHAIN, bare, bare).faults == ()
    assert [fault.code for fault in validation.validate_annotation(CHAIN, bare, GOOD).faults] == ["blocks_lost"]


# ------------------------------------------------------------------------------------------------------------
# judging step 3

PASSAGE = r"Similarly, for the other root we get $\frac{1}{2} \times \beta \neq \nu$ and so on. We are done, we think."
EDITS = EditQuestion(0, 1, "p", "c", {1: "sibling"}, PASSAGE)


@pytest.mark.parametrize(
    "reply",
    [
        r'[{"src": "$\\frac{1}{2} \\times \\beta \\neq \\nu$", "dest": "$\\theta \\times \\nabla$"}]',
        r'[{"src": "$\frac{1}{2} \times \beta \neq \nu$", "dest": "$\theta \times \nabla$"}]',
        'Here it is:\n```json\n[{"src": "$\\frac{1}{2} \\times \\beta \\neq \\nu$", "dest": "$\\theta \\times \\nabla$"}]\n```\nBye [x].',
    ],
)
def test_raw_and_escaped_latex_come_through_as_typed(reply):
    wanted = [Replacement(r"$\frac{1}{2} \times \beta \neq \nu$", r"$\theta \times \nabla$")]
    assert validation.validate_edits(EDITS, reply, "") == validation.Validation(wanted)


@pytest.mark.parametrize(
    "reply", ["Nothing to change.", "{}", '[{"src": "Sim', '["a"]', '[{"src": 1, "dest": "x"}]', "null"]
)
def test_a_reply_without_the_array_is_unreadable_and_not_nothing_to_change(reply):
    judgement = validation.validate_edits(EDITS, reply, "")
    assert judgement.value is None and judgement.faults[0].code == "unreadable_edits"
    assert json.dumps(reply) in judgement.faults[0].sentence


def test_an_empty_array_means_nothing_to_change():
    assert validation.validate_edits(EDITS, "[]", "") == validation.Validation([])


@pytest.mark.parametrize(
    ("src", "dest", "code", "told"),
    [
        ("Likewise, for", "For", "not_found", '"Likewise, for" does not occur'),
        ("ther", "X", "not_found", '"ther" does not occur in the thread under review, or only inside a word'),
        ("we", "one", "ambiguous", '"we" occurs more than once'),
        ("", "x", "empty_src", "empty src"),
        ("Similarly,", "<Thread>", "tag_in_dest", "holds a tag"),
        (PASSAGE, "ok", "shrinks_thread", "less than half"),
    ],
)
def test_a_replacement_that_cannot_be_applied_is_told_with_its_quote(src, dest, code, told):
    judgement = validation.validate_edits(EDITS, json.dumps([{"src": src, "dest": dest}]), "")
    assert judgement.value == [Replacement(src, dest)]
    assert [fault.code for fault in judgement.faults] == [code]
    assert told in judgement.faults[0].sentence


# ------------------------------------------------------------------------------------------------------------
# judging step 4


@pytest.mark.parametrize(
    "reply",
    [
        "1: Count $\\frac{a}{b}$\n2: Try it",
        "Here they are.\n\n1: Count $\\frac{a}{b}$\n2: Try it\n\nTell me if you need more.",
        "```\n1: Count $\\frac{a}{b}$\n2: Try it\n```",
        "- **1:** Count $\\frac{a}{b}$\n- **2:** Try it",
        "**1**: Count $\\frac{a}{b}$\n**2: Try it**",
        "1. Count\n$\\frac{a}{b}$\n\n2) Try it",
        "<Outlines>\n<Outline>1: Count $\\frac{a}{b}$</Outline>\n<Outline>2: Try it</Outline>\n</Outlines>",
        '["Count $\\\\frac{a}{b}$", "2: Try it"]',
    ],
)
def test_outlines_are_read_from_numbered_lines_whatever_stands_around_them(reply):
    assert validation.parse_outlines(reply, 2) == ["Count $\\frac{a}{b}$", "Try it"]


def test_a_line_of_blanks_takes_no_time():
    begun = time.monotonic()
    with pytest.raises(validation.UnreadableOutlines):
        validation.parse_outlines("1" + " " * 200_000 + "\n" + " " * 200_000 + "x", 1)
    assert time.monotonic() - begun < 2


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r<>*", exclude_categories=["Cs"]), min_size=1).filter(str.strip),
        min_size=1,
        max_size=9,
    )
)
def test_numbered_outlines_come_through_as_typed(texts):
    reply = "\n".join(f"{number}: {text}" for number, text in enumerate(texts, 1))
    assert validation.parse_outlines(reply, len(texts)) == [text.strip() for text in texts]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("1: a", "Outline 2 of 2 is missing"),
        (": a\n2: b", "Outline 1 of 2 is missing"),
        ("1: a\n2: b\n3: c", "Outline 3 belongs to no thread"),
        ("1: a\n2: b\n1: c", "Outline 1 stands 2 times"),
        ("2: a\n1: b", "in the order 2, 1"),
        ("no", "no numbered line"),
        ("[1, 2]", "no numbered line"),
        (r'["Count $\frac{a}{b}$", "Take $x \neq 1$"]', "no numbered line"),
    ],
)
def test_a_count_that_does_not_fit_is_told(reply, told):
    with pytest.raises(validation.UnreadableOutlines, match=told):
        validation.parse_outlines(reply, 2)


def block(*threads: str) -> OutlineQuestion:
    return OutlineQuestion(0, "Roots of $x^2 - 5x + 6$ for n = 12.", "Two cases.", threads)


@pytest.mark.parametrize(
    ("poor", "code", "told"),
    [
        ("1: Case 1\n2: Try the odd case", "placeholder", "Outline 1 says nothing ('Case 1')"),
        ("1: same $p=2$\n2: Same p = 2.", "repeats_sibling", "Outline 2 repeats outline 1"),
        ("1: a <b>\n2: c d", "holds_tag", "Outline 1 holds a tag"),
        ("1: ...\n2: c d", "placeholder", "Outline 1 says nothing"),
        ("1:\n2: c d", "empty", "Outline 1 says nothing"),
        ("1: count them", "count", "Outline 2 of 2 is missing"),
        ("I would rather not.", "unreadable_outlines", "no numbered line"),
    ],
)
def test_outlines_that_announce_nothing_fail_with_their_code(poor, code, told):
    judgement = validation.validate_outlines(block("x", "y"), poor, "")
    assert judgement.value is None and judgement.faults[0].code == code
    assert told in judgement.faults[0].sentence


def test_an_outline_that_tells_a_result_is_asked_for_again_and_then_left_to_the_stage():
    thread = "Case k = 4. " + "We go through the factors one by one. " * 8 + "So the sum is 137."
    judgement = validation.validate_outlines(
        block(thread, "other"), "1: Find that the sum is 137\n2: Work on the rest", ""
    )
    assert judgement.value == ["Find that the sum is 137", "Work on the rest"]
    [fault] = judgement.faults
    assert fault.code == "gives_result" and fault.sentence.startswith("Outline 1 tells ") and "137" in fault.sentence
    assert fault.sentence.endswith(", which only its thread works out: announce what is done, not what comes of it.")


def test_an_outline_that_leans_on_a_sibling_is_told():
    judgement = validation.validate_outlines(block("x", "y"), "1: Solve for a\n2: Use the result of the first case", "")
    assert judgement.value and judgement.faults[0].code == "leans_on_sibling"


def test_every_fault_of_outlines_has_its_advice():
    assert set(validation._OUTLINE_ADVICE) == set(CODES)


# ------------------------------------------------------------------------------------------------------------
# the conversation: what is accepted, repaired, rejected


class ScriptedClient:
    """Answers from a list, (text, status) each or an error, and keeps what it was asked and told."""

    settings = ClientSettings(output_limit=777)

    def __init__(self, *replies):
        self.replies, self.asked, self.verdicts = list(replies), [], []

    async def ask(self, request, *, label=""):
        self.asked.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        text, status = reply if isinstance(reply, tuple) else (reply, "ok")
        return Reply(text, status, Usage(100, 40, 10, 4), 0.25, False, "", key=str(len(self.asked)))

    def judge(self, key, verdict, why="", *, label=""):
        self.verdicts.append((key, verdict, why))


REPAIR = prompts.load(prompts.FOLDER / llm.REPAIR_PROMPT, llm.REPAIR_PLACEHOLDERS)


def converse(turns, *replies, question=EDITS):
    client = ScriptedClient(*replies)
    judge = lambda text, before: validation.validate_edits(question, text, before)  # noqa: E731
    answer = asyncio.run(Conversation(client, {"effort": "low"}, REPAIR, "step3").run(turns, judge))
    return client, answer


FIX = '[{"src": "Similarly, for", "dest": "For"}]'


def test_a_good_reply_is_accepted_at_once_and_counted():
    client, answer = converse(["ask"], FIX)
    assert answer.value == [Replacement("Similarly, for", "For")] and answer.reason is None
    assert client.verdicts == [("1", "accepted", "")]
    assert answer.facts == {
        "calls": 1,
        "accepted_first": 1,
        "repairs": 0,
        "tokens_in": 100,
        "tokens_cached": 40,
        "tokens_out": 10,
        "tokens_reasoning": 4,
        "cost_usd": 0.25,
    }


def test_the_repair_turn_quotes_what_is_wrong_and_its_reply_counts():
    bad = '[{"src": "Likewise, for", "dest": "For"}]'
    client, answer = converse(["ask"], bad, FIX)
    assert [message.role for message in client.asked[1].messages] == ["user", "assistant", "user"]
    assert client.asked[1].messages[1].content == bad
    assert client.asked[1].messages[2].content == (
        "Your last reply cannot be used as it stands:\n"
        '- The src "Likewise, for" does not occur in the thread under review, or only inside a word: copy it '
        "character for character.\n"
        "Write the whole reply again in the form that was asked for, with this mended and all else as it was. "
        "Write nothing before or after it."
    )
    assert answer.value == [Replacement("Similarly, for", "For")] and "problems" not in answer.facts
    assert client.verdicts == [("1", "repaired", "not_found"), ("2", "accepted", "")]
    assert (answer.facts["calls"], answer.facts["accepted_first"], answer.facts["repairs"]) == (2, 0, 1)


def test_what_cannot_be_applied_after_the_repair_is_passed_on_to_be_left_out_and_recorded():
    bad = '[{"src": "Likewise, for", "dest": "For"}]'
    client, answer = converse(["ask"], bad, bad)
    assert answer.value == [Replacement("Likewise, for", "For")] and answer.facts["problems"] == ["not_found"]
    assert client.verdicts == [("1", "repaired", "not_found"), ("2", "accepted", "not_found")]


@pytest.mark.parametrize(
    ("first", "second", "code", "why"),
    [
        ("prose", "more prose", "unreadable_edits", "unreadable_edits"),
        (("", "empty"), ("", "empty"), "empty", "empty"),
        (("[", "truncated"), ("No.", "refused"), "refused", "truncated"),
        (("No.", "refused"), "prose", "unreadable_edits", "refused"),
    ],
)
def test_a_reply_that_stays_unusable_fails_with_its_code_and_is_rejected(first, second, code, why):
    client, answer = converse(["ask"], first, second)
    assert answer.value is None and answer.reason == code and answer.facts["error"]
    assert client.verdicts == [("1", "rejected", why), ("2", "rejected", code)]


def test_a_complete_array_in_a_truncated_reply_is_not_accepted():
    client, answer = converse(["ask"], (FIX, "truncated"), ("[]", "truncated"))
    assert answer.value is None and answer.reason == "truncated"
    assert "777 output tokens" in client.asked[1].messages[-1].content


def test_a_repair_that_is_worse_leaves_the_first_reply_in_place():
    one_wrong = '[{"src": "Similarly, for", "dest": "For"}, {"src": "absent", "dest": ""}]'
    client, answer = converse(["ask"], one_wrong, ("", "empty"))
    assert [item.src for item in answer.value] == ["Similarly, for", "absent"]
    assert answer.facts["problems"] == ["not_found", "repair_empty"]
    assert client.verdicts == [("1", "accepted", "not_found"), ("2", "rejected", "empty")]


def test_a_cut_reply_is_shown_in_part_and_an_empty_one_by_a_word():
    client, _ = converse(["ask"], ("x" * 9000, "truncated"), FIX)
    assert len(client.asked[1].messages[1].content) == 1000
    client, _ = converse(["ask"], ("", "empty"), FIX)
    assert client.asked[1].messages[1].content == "(no text)"


def test_a_repaired_turn_goes_on_as_if_it_had_been_right_at_once():
    client, answer = converse(["one", "two"], ("", "empty"), "steps", FIX)
    assert [tuple(message) for message in client.asked[2].messages] == [
        ("user", "one"),
        ("assistant", "steps"),
        ("user", "two"),
    ]
    titles = [line for line in answer.chat.split("\n") if line.startswith("===")]
    assert titles == [
        "=== turn 1: question ===",
        "=== turn 1: answer (empty) ===",
        "=== turn 1, repair: question ===",
        "=== turn 1, repair: answer ===",
        "=== turn 2: question ===",
        "=== turn 2: answer ===",
    ]


def test_a_call_without_a_reply_fails_the_sample_with_the_code_and_judges_nothing():
    client, answer = converse(["one", "two"], "steps", GaveUp("gave up after 8 tries", ServerFault("503")))
    assert answer.value is None and answer.reason == "server_fault" and "gave up" in answer.facts["error"]
    assert answer.facts["calls"] == 1 and client.verdicts == [("1", "accepted", "")]


def test_an_error_that_ends_the_run_is_not_a_samples_failure():
    with pytest.raises(ServerDown):
        converse(["ask"], ServerDown("nothing answers"))


# ------------------------------------------------------------------------------------------------------------
# over HTTP


def annotator(question: str, url: str, ledger: Path | None = None, **settings) -> LlmAnnotator:
    prompt = prompts.load(prompts.FOLDER / llm.PROMPTS[question], llm.PLACEHOLDERS[question])
    client = Client(ClientSettings(base_url=url, ledger=ledger, **settings), environment={})
    return LlmAnnotator(client, prompt, REPAIR, question, "low")


async def ask_all(annotator: LlmAnnotator, question: str, items) -> list:
    async with annotator as asked:
        return await asyncio.gather(*(getattr(asked, question)(item) for item in items))


@pytest.fixture(scope="module")
def server():
    with FakeOpenAI(answer=fake_answers.answer, record=True) as running:
        yield running


def test_six_turns_give_what_the_rules_say_and_the_chain_is_sent_once_a_request(server, tmp_path, capsys):
    samples = chains(3)
    answers = asyncio.run(ask_all(annotator("steps", server.url, tmp_path / "l.sqlite"), "steps", samples))
    for sample, answer in zip(samples, answers, strict=True):
        assert answer.value == annotate_steps(sample.problem, sample.thinking)
        assert answer.facts["calls"] == answer.facts["accepted_first"] == 6
    bodies = server.bodies[-18:]
    assert sorted(len(body["input"]) for body in bodies) == [1] * 3 + [3] * 3 + [5] * 3 + [7] * 3 + [9] * 3 + [11] * 3
    for body in bodies:
        assert sum(turn["content"].count("<chain>\nL1: ") for turn in body["input"]) == 1
        assert body["reasoning"] == {"effort": "low"} and body["max_output_tokens"] > 0
    assert "step1: 18 calls, 0 from the ledger" in capsys.readouterr().out


def test_a_replay_pays_nothing_and_gives_the_same_facts_and_transcript(server, tmp_path):
    samples, ledger = chains(2), tmp_path / "l.sqlite"
    first = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", samples))
    received = server.stats()["received"]
    again = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", samples))
    assert server.stats()["received"] == received
    assert [(a.value, dict(a.facts), a.chat) for a in again] == [(a.value, dict(a.facts), a.chat) for a in first]


def test_a_conversation_that_failed_in_turn_6_goes_on_there(server, tmp_path):
    [sample], ledger = chains(1), tmp_path / "l.sqlite"
    server.scripts[:] = [""] * 5 + ["empty", "truncated"]
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", [sample]))
    assert answer.value is None and answer.reason == "truncated" and answer.facts["calls"] == 7
    received = server.stats()["received"]
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", [sample]))
    assert answer.reason == "truncated" and server.stats()["received"] == received, "rejected: not asked again"
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger, retry_failed=True), "steps", [sample]))
    assert answer.value == annotate_steps(sample.problem, sample.thinking)
    assert server.stats()["received"] == received + 1, "turn 6 alone"


def trajectory_questions() -> tuple[list[EditQuestion], list[OutlineQuestion]]:
    threads = (
        r"Case $p=2$. Then $\frac{q}{2} \times 3 = 9$, so $q = 6$, which is not prime." + " Nothing comes of it." * 8,
        r"Similarly, case $p=3$. Then $\beta \neq \nu$ and $q = 71$ works." + " We keep the pair." * 8,
        r"Now $p=5$. Here $\theta = 12$ and $q$ would be even." + " No." * 30,
    )
    problem, context = "Find all primes p and q.", "So p is 2, 3 or 5.\n"
    asked = [
        EditQuestion(
            0, at, problem, context, {k: text for k, text in enumerate(threads, 1) if k != at + 1}, threads[at]
        )
        for at in (1, 2)
    ]
    return asked, [OutlineQuestion(0, problem, context, threads)]


def test_edits_and_outlines_over_http_are_those_of_the_rules(server):
    edits, outlines = trajectory_questions()
    found = asyncio.run(ask_all(annotator("edits", server.url), "edits", edits))
    assert [[(r.src, r.dest) for r in answer.value] for answer in found] == [
        propose_edits(f"{q.problem}\n\n{q.context.strip()}", tuple(q.siblings.values()), q.passage) for q in edits
    ]
    [answer] = asyncio.run(ask_all(annotator("outlines", server.url), "outlines", outlines))
    [question] = outlines
    assert answer.value == propose_outlines(question.problem, question.context.strip(), question.threads)


def test_siblings_are_shown_in_full_with_their_numbers(server):
    edits, _ = trajectory_questions()
    asyncio.run(ask_all(annotator("edits", server.url), "edits", edits[:1]))
    shown = fake_answers.section(server.bodies[-1]["input"][0]["content"], "forbidden_context")
    assert shown == f"[Thread 1]\n{edits[0].siblings[1]}\n\n[Thread 3]\n{edits[0].siblings[3]}"


@pytest.mark.parametrize("mode", ["truncated", "empty", "refused", "missing_number"])
def test_a_damaged_reply_is_repaired_in_one_turn(server, mode):
    _, outlines = trajectory_questions()
    server.scripts[:] = [mode]
    [answer] = asyncio.run(ask_all(annotator("outlines", server.url), "outlines", outlines))
    assert answer.value and answer.facts["repairs"] == 1 and answer.facts["calls"] == 2


@pytest.mark.parametrize("mode", ["raw_latex", "code_fence", "extra_prose"])
def test_a_reply_in_another_dress_is_read_at_once(mode):
    reply = json.dumps([{"src": r"Then $\beta \neq \nu$", "dest": r"Here $\beta \neq \nu$"}])
    edits, _ = trajectory_questions()
    with FakeOpenAI(answer=lambda messages, params: reply, scripts=[mode]) as server:
        [answer] = asyncio.run(ask_all(annotator("edits", server.url), "edits", edits[:1]))
        assert server.stats()["faults"] == {mode: 1}
    assert answer.value == [Replacement(r"Then $\beta \neq \nu$", r"Here $\beta \neq \nu$")]
    assert answer.facts["repairs"] == 0


# ------------------------------------------------------------------------------------------------------------
# flags


def parsed(question: str, *argv: str) -> argparse.Namespace:
    parser = Flags("doc")
    llm.add_flags(parser, question)
    parser.add_common()
    return parser.parse_args(argv)


@pytest.mark.parametrize(("question", "effort"), [("steps", "medium"), ("edits", "low"), ("outlines", "low")])
def test_the_settings_hold_all_that_decides_the_answers(question, effort, tmp_path):
    settings = llm.build(parsed(question, "--ledger", str(tmp_path / "l")), question).settings()
    assert settings["effort"] == effort and settings["model"] == "gpt-5" and settings["annotator"] == "llm"
    assert settings["output_limit"] == llm.OUTPUT_LIMIT[question]
    path = prompts.FOLDER / llm.PROMPTS[question]
    assert settings["prompt_sha256"] == prompts.load(path, llm.PLACEHOLDERS[question]).sha256
    json.dumps(settings)
    changed = llm.build(parsed(question, "--effort", "high", "--output-limit", "99"), question).settings()
    assert changed["effort"] == "high" and changed["output_limit"] == 99


def test_a_prompt_at_fault_stops_before_a_client_is_made(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("{{problem}}")
    with pytest.raises(UserError, match="lacks"):
        llm.build(parsed("steps", "--prompt", str(path)), "steps")


def test_the_flags_load_no_sdk():
    code = "import sys; from threadweaver.annotators import llm; print({'openai', 'aiohttp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
