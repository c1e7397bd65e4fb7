"""What a run would cost, before it is run: from the ledger if it has the replies, else from stated assumptions."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

import fake_answers
from fake_damage import passages_of
from fake_openai import FakeOpenAI
from project import InProcess, Project
from threadweaver.client import Client, Estimate, PlanningClient
from threadweaver.client.settings import Batching, ClientSettings
from threadweaver.runs.folder import read_account
from threadweaver.samples import Sample
from threadweaver.stages import planning


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where no key file is
    return ClientSettings(ledger=tmp_path / "l.sqlite", workers=64)


def wordy(messages, params) -> str:
    """Return an answer about a third as long as the question."""
    words = messages[-1]["content"].split()
    return " ".join(words[: len(words) // 3 + len(words) % 5])


async def ask_all(settings: ClientSettings, texts) -> Client:
    async with Client(settings) as client:
        await asyncio.gather(*(client.ask(settings.request([("user", text)]), label="step1") for text in texts))
        return client


async def test_the_second_half_costs_what_the_first_one_says(settings):
    texts = [f"{n} " + "word " * (50 + 37 * n % 400) for n in range(60)]
    with FakeOpenAI(answer=wordy) as server:
        settings = replace(settings, base_url=server.url)
        await ask_all(settings, texts[:30])
        async with PlanningClient(settings) as client:
            plans = [await client.plan(settings.request([("user", text)]), label="step1") for text in texts]
        assert server.stats()["received"] == 30
        second = await ask_all(settings, texts)
    total = sum((plan.estimate for plan in plans), Estimate())
    assert (total.paid, total.calls) == (30, 30)
    assert [plan.reply is None for plan in plans] == [n >= 30 for n in range(60)]
    assert total.cost == pytest.approx(second.total().cost, rel=0.15)
    assert total.basis == {"measured on 30 replies of step1, turn by turn"}


async def test_without_a_ledger_a_plan_says_what_it_assumes_and_makes_no_ledger(settings):
    request = settings.request([("user", "x" * 3300)])
    async with PlanningClient(settings) as client:
        planned = await client.plan(request, label="step1")
    assert planned.estimate.usage.input == pytest.approx(1000, rel=0.02)
    assert any("assumed" in basis for basis in planned.estimate.basis)
    assert not settings.ledger.exists()
    async with PlanningClient(replace(settings, batch=Batching())) as client:
        half = await client.plan(request, label="step1")
    assert half.estimate.cost == pytest.approx(planned.estimate.cost / 2)


async def test_repairs_are_planned_in_the_share_they_had(settings):
    def talk(text: str, turns: int):
        said = [("user", text), *[("assistant", "a"), ("user", "again")] * (turns - 1)]
        return settings.request(said)

    with FakeOpenAI() as server:
        async with Client(replace(settings, base_url=server.url)) as client:
            for n in range(8):
                await client.ask(talk(f"question {n}", 1), label="step3")
            for n in range(2):
                await client.ask(talk(f"question {n}", 2), label="step3+repair/9")
            for n in range(8):  # of another prompt, with turns of its own
                await client.ask(talk(f"another {n}", 2), label="step3 v2/9")
    async with PlanningClient(settings) as client:
        for n in range(8, 20):
            await client.ask(talk(f"question {n}", 1), label="step3")
        drawn = await client.drain("step3", turns=1)
    assert drawn.to_pay.calls == 12 + 3


def run(project: Project, server: FakeOpenAI, count: int, **environment: str):
    return project.sample_run(count=count, ANNOTATOR="llm", OPENAI_BASE_URL=server.url, **environment)


def calls_of(table: str) -> dict[str, tuple[int, int]]:
    """Return stage → (calls, paid) of a printed plan."""
    rows = (line.split() for line in table.split("\n") if line.startswith("  step") or line.startswith("  total"))
    return {
        " ".join(row[:2]) if row[0] == "step" else row[0]: tuple(int(cell.replace(",", "")) for cell in row[-6:-4])
        for row in rows
    }


def test_a_plan_knows_what_is_paid_and_leaves_no_trace(tmp_path):
    project = InProcess(tmp_path)
    with FakeOpenAI(answer=fake_answers.answer) as server:
        fresh = run(project, server, 4, PLAN="1")
        assert fresh.returncode == 0, fresh.stderr
        assert run(project, server, 4, PLAN="1", BATCH="0", OFFLINE="0").stdout == fresh.stdout
        assert calls_of(fresh.stdout)["step 1"] == (4, 0) and "as published" in fresh.stdout
        assert not server.stats()["received"] and [path.name for path in (project.root / "data").iterdir()] == [
            "sample"
        ]
        assert project.annotate(count=2, OPENAI_BASE_URL=server.url).returncode == 0
        paid = server.stats()["answered"]
        before = project.files("data")
        half = run(project, server, 4, PLAN="1", MAX_COST="3")
        assert project.files("data") == before and server.stats()["received"] == paid
        assert calls_of(half.stdout)["step 1"] == (2, 2) and "extrapolated from 2 samples" in half.stdout
        assert "of --max-cost 3" in half.stdout and "are left" not in half.stdout
        assert "are left, and the plan needs $" in run(project, server, 4, PLAN="1", MAX_COST="0.001").stdout
        assert project.annotate(count=4, OPENAI_BASE_URL=server.url).returncode == 0
        whole = run(project, server, 4, PLAN="1")
        assert calls_of(whole.stdout)["total"] == (0, server.stats()["answered"])


def test_a_stage_plans_alone_and_the_others_say_that_they_call_nothing(tmp_path):
    project = InProcess(tmp_path)
    with FakeOpenAI(answer=fake_answers.answer) as server:
        assert project.annotate(count=3, OPENAI_BASE_URL=server.url).returncode == 0
        environment = {"SRC_NAME": "sample", "NUM_SAMPLES": "3", "OPENAI_BASE_URL": server.url}
        for step in (1, 3, 4):
            planned = project.run("bash", f"step{step}.sh", "--plan", **environment)
            calls, paid = calls_of(planned.stdout)[f"step {step}"]
            assert calls == 0 and paid > 0, planned.stderr
        edited = project.root / "prompt/step4-prompt_v1_v1_v1.txt"
        edited.write_text(edited.read_text() + "\nBe brief.\n")
        planned = project.run("bash", "step4.sh", "--plan", **environment)
        assert calls_of(planned.stdout)["step 4"] == (paid, 0)
    for step in (2, 5):
        assert "no model is called" in project.run("bash", f"step{step}.sh", "--plan", **environment).stdout
    assert "no model is called" in project.sample_run("--plan", count=3, PLAN="1").stdout


class Difficult:
    """A model that edits all threads, has its reply about one block refused, and fails on one chain."""

    def __init__(self, failing: str):
        self.failing = failing
        self.refused = ""

    def __call__(self, messages, params) -> str:
        first = messages[0]["content"]
        if "<chain>" in first and self.failing in first:
            return "This is too hard for me."
        if "\n<outlines>\n" not in first:
            return fake_answers.answer(messages, params)
        self.refused = self.refused or first
        if first == self.refused:
            return "No change is needed, I think."
        changes = {}
        for number, text in passages_of(first).items():
            begins = text[:40]
            changes[number] = [{"src": begins, "dest": f"Here we go: {begins}"}]
        return json.dumps(changes, ensure_ascii=False)


def test_after_a_run_with_a_refused_reply_a_failed_sample_and_a_repeated_uuid_nothing_is_left_to_call(tmp_path):
    project = InProcess(tmp_path)
    chains = project.root / "data/sample/chains.jsonl"
    rows = [json.loads(line) for line in chains.read_text().splitlines()[:6]]
    rows = [*rows, {**rows[0], "thinking": rows[0]["thinking"] + "\n\nThat is all."}]
    chains.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    model = Difficult(failing=rows[1]["thinking"].split("\n")[0])
    with FakeOpenAI(answer=model) as server:
        settings = {"OPENAI_BASE_URL": server.url, "MAX_FAILED": "1"}
        done = project.annotate(count=7, **settings)
        assert done.returncode == 0, done.stderr
        assert "1 rejected: repeated_uuid (6)" in done.stdout
        assert "1 failed: unreadable_annotation (1)" in done.stdout
        edits = read_account(project.root / "data/sample_7samples_step3_v1_v1")
        assert sum(entry.facts["edits"] for entry in edits) > 0
        assert sum(bool(entry.facts["not_rewritten"]) for entry in edits) == 1
        planned = run(project, server, 7, PLAN="1", **{"MAX_FAILED": "1"})
        assert calls_of(planned.stdout)["total"] == (0, server.stats()["answered"]), planned.stdout + planned.stderr


def test_assumed_questions_have_the_published_number_and_size():
    sample = Sample(0, "s-0", "problem", "x" * 36_800)  # 11,143 tokens: 6.26 blocks of 2.58 threads
    edits, outlines = planning.assumed_questions(sample)
    assert len(outlines) == len(edits) == 6
    assert {len(question.threads[0]) for question in outlines} == {planning.THREAD_CHARS}
