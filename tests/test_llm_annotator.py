"""The annotator that asks a model, over HTTP: filled-in prompts, replays, failures, settings."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import fake_answers
from fake_openai import FakeOpenAI
from threadweaver.annotators import llm
from threadweaver.annotators.llm import prompts
from threadweaver.annotators.llm.annotator import LlmAnnotator
from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.wording import propose_edits
from threadweaver.client import Client
from threadweaver.client.settings import ClientSettings
from threadweaver.errors import UserError
from threadweaver.runs.flags import Flags
from threadweaver.samples import Sample
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

ROOT = Path(__file__).parents[1]


def chains(count: int) -> list[Sample]:
    with open(ROOT / "data/sample/chains.jsonl", encoding="utf-8", newline="") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(count), strict=False)]
    return [Sample(at, row["uuid"], row["problem"], row["thinking"]) for at, row in enumerate(rows)]


def annotator(question: str, url: str, ledger: Path | None = None, prompt: Path | None = None, **settings):
    prompt = prompts.load(prompt or prompts.FOLDER / llm.PROMPTS[question], llm.PLACEHOLDERS[question])
    client = Client(ClientSettings(base_url=url, ledger=ledger, **settings), environment={})
    repair = prompts.load(prompts.FOLDER / llm.REPAIR_PROMPT, llm.REPAIR_PLACEHOLDERS)
    return LlmAnnotator(client, prompt, repair, question, "low")


async def ask_all(annotator: LlmAnnotator, question: str, items) -> list:
    async with annotator as asked:
        return await asyncio.gather(*(getattr(asked, question)(item) for item in items))


@pytest.fixture(scope="module")
def server():
    with FakeOpenAI(answer=fake_answers.answer, record=True) as running:
        yield running


def test_one_turn_gives_what_the_rules_say_and_shows_lines_with_their_sizes(server, tmp_path, capsys):
    samples = chains(3)
    answers = asyncio.run(ask_all(annotator("steps", server.url, tmp_path / "l.sqlite"), "steps", samples))
    for sample, answer in zip(samples, answers, strict=True):
        assert answer.value == fake_answers.annotate(sample.problem, sample.thinking)
        assert answer.facts["calls"] == answer.facts["accepted_first"] == 1
    for body in server.bodies[-3:]:
        (turn,) = body["input"]
        assert turn["content"].count("<chain>\nL1 [") == 1
        assert body["reasoning"] == {"effort": "low"} and body["max_output_tokens"] > 0
    assert "step1: 3 calls, 0 from the ledger" in capsys.readouterr().out


@pytest.fixture
def six_turns(tmp_path) -> Path:
    path = tmp_path / "step1-prompt_v9.txt"
    path.write_text(fake_answers.SIX_TURNS)
    return path


def test_a_prompt_of_six_turns_sends_the_chain_once_per_request(server, tmp_path, six_turns):
    [sample] = chains(1)
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, prompt=six_turns), "steps", [sample]))
    assert answer.value == fake_answers.annotate(sample.problem, sample.thinking)
    assert answer.facts["calls"] == answer.facts["accepted_first"] == 6
    bodies = server.bodies[-6:]
    assert [len(body["input"]) for body in bodies] == [1, 3, 5, 7, 9, 11]
    assert all(sum(turn["content"].count("<chain>") for turn in body["input"]) == 1 for body in bodies)


def test_a_replay_pays_nothing_and_gives_the_same_facts_and_transcript(server, tmp_path):
    samples, ledger = chains(2), tmp_path / "l.sqlite"
    first = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", samples))
    received = server.stats()["received"]
    again = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", samples))
    assert server.stats()["received"] == received
    assert [(a.value, dict(a.facts), a.chat) for a in again] == [(a.value, dict(a.facts), a.chat) for a in first]


def test_a_conversation_that_failed_in_turn_6_continues_there(server, tmp_path, six_turns):
    [sample], ledger = chains(1), tmp_path / "l.sqlite"
    server.scripts[:] = [""] * 5 + ["empty", "truncated"]
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger, six_turns), "steps", [sample]))
    assert answer.value is None and answer.reason == "truncated" and answer.facts["calls"] == 7
    received = server.stats()["received"]
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger, six_turns), "steps", [sample]))
    assert answer.reason == "truncated" and server.stats()["received"] == received, "rejected: not asked again"
    [answer] = asyncio.run(
        ask_all(annotator("steps", server.url, ledger, six_turns, retry_failed=True), "steps", [sample])
    )
    assert answer.value == fake_answers.annotate(sample.problem, sample.thinking)
    assert server.stats()["received"] == received + 1, "turn 6 alone"


THREADS = (
    r"Case $p=2$: then $\frac{q}{2} \times 3 = 9$, so $q = 6$, which is not prime." + " Nothing comes of it." * 8,
    r"Similarly, case $p=3$. Then $\beta \neq \nu$ and $q = 71$ works." + " We keep the pair." * 8,
    r"Now case $p=5$. Here $\theta = 12$ and $q$ would be even." + " No." * 30,
)
PLANS = ("tries p = 2", "", "tries p = 5")
PROBLEM, CONTEXT = "Find all primes p and q.", "So p is 2, 3 or 5: three cases.\n"
EDITS = EditQuestion(0, PROBLEM, CONTEXT, THREADS, (1, 2, 3), PLANS)
OUTLINES = OutlineQuestion(0, PROBLEM, CONTEXT, THREADS, (1, 2, 3))


def test_edits_and_outlines_over_http_are_those_of_the_rules(server):
    [answer] = asyncio.run(ask_all(annotator("edits", server.url), "edits", [EDITS]))
    found = {number: [(item.src, item.dest) for item in items] for number, items in answer.value.items()}
    assert found == {2: propose_edits(THREADS[1])}
    [answer] = asyncio.run(ask_all(annotator("outlines", server.url), "outlines", [OUTLINES]))
    assert answer.value == propose_outlines(PROBLEM, CONTEXT.strip(), THREADS)


def test_a_request_about_a_block_shows_all_threads_and_the_plan_of_each(server):
    asyncio.run(ask_all(annotator("edits", server.url), "edits", [EDITS]))
    request = server.bodies[-1]["input"][0]["content"]
    shown = "\n\n".join(f"[Thread {number}]\n{text}" for number, text in enumerate(THREADS, 1))
    assert fake_answers.section(request, "threads") == shown
    assert fake_answers.section(request, "outlines") == "1: tries p = 2\n2: (Not stated.)\n3: tries p = 5"
    assert request.endswith("for threads 1 to 3.")


def test_steps_3_and_4_begin_with_the_same_bytes_up_to_the_end_of_the_context(server):
    """A provider's cache serves what two requests begin with."""
    for question, item in (("edits", EDITS), ("outlines", OUTLINES)):
        asyncio.run(ask_all(annotator(question, server.url), question, [item]))
    one, two = (body["input"][0]["content"].partition("</context>")[0] for body in server.bodies[-2:])
    assert one == two and one.index(PROBLEM) < one.index(CONTEXT.strip())
    assert len(one) < 400 + len(PROBLEM) + len(CONTEXT)


@pytest.mark.parametrize(
    ("asked", "named", "outlines"), [((2,), "thread 2.", ["2"]), ((2, 3), "threads 2 and 3.", ["2", "3"])]
)
def test_a_part_of_a_block_is_asked_for_by_number(asked, named, outlines):
    reply = "\n".join(f"{number}: Try the prime in place {number}" for number in outlines)
    with FakeOpenAI(answer=lambda messages, params: reply, record=True) as server:
        question = replace(OUTLINES, asked=asked)
        [answer] = asyncio.run(ask_all(annotator("outlines", server.url), "outlines", [question]))
        assert server.bodies[-1]["input"][0]["content"].endswith(named)
    assert answer.value == [f"Try the prime in place {number}" for number in outlines] and not answer.facts["repairs"]


@pytest.mark.parametrize("mode", ["truncated", "empty", "refused", "missing_number"])
def test_a_damaged_reply_is_repaired_in_one_turn(server, mode):
    server.scripts[:] = [mode]
    [answer] = asyncio.run(ask_all(annotator("outlines", server.url), "outlines", [OUTLINES]))
    assert answer.value and answer.facts["repairs"] == 1 and answer.facts["calls"] == 2


@pytest.mark.parametrize("mode", ["raw_latex", "code_fence", "extra_prose"])
def test_a_reply_in_another_form_is_read_at_once(mode):
    reply = json.dumps({"2": [{"src": r"Then $\beta \neq \nu$", "dest": r"Here $\beta \neq \nu$"}]})
    with FakeOpenAI(answer=lambda messages, params: reply, scripts=[mode]) as server:
        [answer] = asyncio.run(ask_all(annotator("edits", server.url), "edits", [EDITS]))
        assert server.stats()["faults"] == {mode: 1}
    assert answer.value == {2: [Replacement(r"Then $\beta \neq \nu$", r"Here $\beta \neq \nu$")]}
    assert answer.facts["repairs"] == 0


def parsed(question: str, *argv: str) -> argparse.Namespace:
    parser = Flags("doc")
    llm.add_flags(parser, question)
    parser.add_stage_flags()
    return parser.parse_args(argv)


@pytest.mark.parametrize(("question", "effort"), [("steps", "medium"), ("edits", "low"), ("outlines", "low")])
def test_the_settings_hold_all_that_determines_the_answers(question, effort, tmp_path):
    server = ("--base-url", "http://127.0.0.1:1/v1")  # needs no key
    settings = llm.build(parsed(question, "--ledger", str(tmp_path / "l"), *server), question).settings()
    assert settings["effort"] == effort and settings["model"] == "gpt-5" and settings["annotator"] == "llm"
    assert settings["output_limit"] == llm.OUTPUT_LIMIT[question]
    path = prompts.FOLDER / llm.PROMPTS[question]
    assert settings["prompt_sha256"] == prompts.load(path, llm.PLACEHOLDERS[question]).sha256
    json.dumps(settings)
    changed = llm.build(parsed(question, "--effort", "high", "--output-limit", "99", *server), question).settings()
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
