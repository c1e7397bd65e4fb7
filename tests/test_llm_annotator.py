"""The annotator that asks a model, over HTTP: filled-in prompts, replays, failures, settings."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
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


def annotator(question: str, url: str, ledger: Path | None = None, **settings) -> LlmAnnotator:
    prompt = prompts.load(prompts.FOLDER / llm.PROMPTS[question], llm.PLACEHOLDERS[question])
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


def test_six_turns_give_what_the_rules_say_and_the_chain_is_sent_once_per_request(server, tmp_path, capsys):
    samples = chains(3)
    answers = asyncio.run(ask_all(annotator("steps", server.url, tmp_path / "l.sqlite"), "steps", samples))
    for sample, answer in zip(samples, answers, strict=True):
        assert answer.value == fake_answers.annotate(sample.problem, sample.thinking)
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


def test_a_conversation_that_failed_in_turn_6_continues_there(server, tmp_path):
    [sample], ledger = chains(1), tmp_path / "l.sqlite"
    server.scripts[:] = [""] * 5 + ["empty", "truncated"]
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", [sample]))
    assert answer.value is None and answer.reason == "truncated" and answer.facts["calls"] == 7
    received = server.stats()["received"]
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger), "steps", [sample]))
    assert answer.reason == "truncated" and server.stats()["received"] == received, "rejected: not asked again"
    [answer] = asyncio.run(ask_all(annotator("steps", server.url, ledger, retry_failed=True), "steps", [sample]))
    assert answer.value == fake_answers.annotate(sample.problem, sample.thinking)
    assert server.stats()["received"] == received + 1, "turn 6 alone"


def trajectory_questions() -> tuple[list[EditQuestion], list[OutlineQuestion]]:
    threads = (
        r"Case $p=2$: then $\frac{q}{2} \times 3 = 9$, so $q = 6$, which is not prime." + " Nothing comes of it." * 8,
        r"Similarly, case $p=3$. Then $\beta \neq \nu$ and $q = 71$ works." + " We keep the pair." * 8,
        r"Now case $p=5$. Here $\theta = 12$ and $q$ would be even." + " No." * 30,
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
def test_a_reply_in_another_form_is_read_at_once(mode):
    reply = json.dumps([{"src": r"Then $\beta \neq \nu$", "dest": r"Here $\beta \neq \nu$"}])
    edits, _ = trajectory_questions()
    with FakeOpenAI(answer=lambda messages, params: reply, scripts=[mode]) as server:
        [answer] = asyncio.run(ask_all(annotator("edits", server.url), "edits", edits[:1]))
        assert server.stats()["faults"] == {mode: 1}
    assert answer.value == [Replacement(r"Then $\beta \neq \nu$", r"Here $\beta \neq \nu$")]
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
