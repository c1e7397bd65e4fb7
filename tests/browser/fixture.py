"""A small run, made by the library itself: every stage, and a sample for each thing that the viewer has to show."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from browser import calls
from threadweaver.corpus.readers import SourceRow
from threadweaver.files import to_json, write_atomic
from threadweaver.runs.folder import AccountEntry, StageFolder
from threadweaver.samples import Sample
from threadweaver.stages import extraction, inspection, outlining, rewriting, worth
from threadweaver.stages.collecting import source_hash
from threadweaver.stages.rewriting import edit_questions
from threadweaver.stages.traced import read_traced, traced_files
from threadweaver.trajectory import annotation, edits, markup
from threadweaver.trajectory.edits import Lineage, Replacement
from threadweaver.trajectory.measures import measure

STAGES = {
    "collect": "",
    "steps": "_step1_v1",
    "parallel": "_step2_v1",
    "rewrite": "_step3_v1_v1",
    "outlines": "_step4_v1_v1_v1",
    "filter": "_step5_v1_v1_v1",
}
"""The stages of the fixture's run, each with the end of its folder's name."""
NAME = "fixture_8samples"
SCRIPT = "<script>window.broken = true</script>"
IMAGE = "<img src=x onerror='window.broken = true'>"

CASES = """We look for all primes $p$ with $p^2 + 2$ prime.
There are two cases.

Case 1: $p = 2$. Then $p^2 + 2 = 6$, which is even and larger than two.
So it is not prime, and this case gives nothing at all.
Let me write it out: $6 = 2 \\cdot 3$, hence $p = 2$ is out of the question.

Case 2: Similarly, $p = 3$. Then $p^2 + 2 = 11$, and eleven is a prime number.
This case gives one solution, which can be checked by hand.
No smaller factor divides it: neither 2 nor 3, so we are done here.

Now let me try the remaining primes in two ways.

First way: every prime above three is $1$ or $-1$ modulo three, so its square is $1$.
Then $p^2 + 2 \\equiv 0 \\pmod 3$, and the number is larger than three.
Therefore it is never prime, whatever the prime is.

Second way: write $p = 6k \\pm 1$, so that $p^2 = 36k^2 \\pm 12k + 1$.
Adding two gives $36k^2 \\pm 12k + 3$, a multiple of three.
It cannot be prime, because it is larger than three.

So the only one is $p = 3$, and the answer is $\\boxed{3}$."""

CASES_STEPS = """S1: The task (L1-L2)
<parallel>[cases; new work; the cases do not use each other]
<thread>
S2: The case $p = 2$ (L4-L6)
</thread> (range: L4-L6, check passed: nothing of case 2 is used)
<thread>
S3: The case $p = 3$ (L8-L10)
  S3.1: No factor (L10-L10)
</thread> (range: L8-L10, check passed: stands alone)
</parallel> (range: L4-L10)
S4: The rest (L12-L12)
<parallel>[methods; re-check; two ways to the same end]
<thread>
S5: Modulo three (L14-L16)
</thread> (range: L14-L16, check passed: yes)
<thread>
S6: By the form $6k \\pm 1$ (L18-L20)
</thread> (range: L18-L20, check passed: yes)
</parallel> (range: L14-L20)
S7: The end (L22-L22)
"""

LEANING = """Let me find the number of ways to seat four guests at a round table, in two parts.

Part one: place the first guest anywhere, because only the order matters.
Let T = 3! denote the number of ways to seat the other three, so T = 6.
That is the number we are going to need in a moment.

Part two: mirror images count once, so we divide T by two.
Since T = 6, as we found above, the result is 3 ways.
That seems to be all there is to this part of the problem.

A short check: one.
Another short check: two.

So the answer is 3, which is what one would expect here.
Nothing else has to be counted, as every seating was seen exactly once."""

LEANING_STEPS = """S1: The task (L1-L1)
<parallel>[Parallel reason: two parts]
<thread>
S2: Others (L3-L5)
</thread> (range: L3-L5, check passed: first part)
<thread>
S3: Mirror images (L7-L9)
</thread> (range: L7-L9, check passed: so it was said)
</parallel> (range: L3-L9)
<parallel>[Parallel reason: two checks]
<thread>
S4: One (L11-L11)
</thread> (range: L11-L11, check passed: yes)
<thread>
S5: Two (L12-L12)
</thread> (range: L12-L12, check failed: it continues from the first)
</parallel> (range: L11-L12)
S6: The end (L14-L15)
"""


def _hostile() -> str:
    return CASES.replace("There are two cases.", f"A tag in prose: {SCRIPT} and {IMAGE} and <b>bold</b>.")


def _long() -> str:
    """A chain of 1 MB, with formulas, whose one block stands near its beginning."""
    filler = [
        f"Line {at}: the sum is $\\frac{{{at}}}{{7}} + x_{{{at % 50}}}$, and so on as before." for at in range(16_000)
    ]
    return CASES + "\n\n" + "\n".join(filler)


def chains() -> dict[int, tuple[str, str, str, bool | None]]:
    """Index -> problem, chain, annotation, whether its answer is right."""
    primes = "Find every prime $p$ for which $p^2 + 2$ is prime."
    plain = "No case split here.\n" + "\n".join(
        f"One step after the other, number {at}, and nothing beside it." for at in range(12)
    )
    return {
        0: (primes, CASES, CASES_STEPS, True),
        1: (
            "A second look: find every prime $p$ with $p^2+2$ prime.",
            CASES.replace("eleven", "the number eleven"),
            CASES_STEPS,
            False,
        ),
        2: (f"Escaping {IMAGE}: is it shown as text?", _hostile(), CASES_STEPS, True),
        3: ("A problem in one line of thought.", plain, "S1: All of it (L1-L13)\n", True),
        4: ("How many ways to seat four guests at a round table?", LEANING, LEANING_STEPS, True),
        6: ("A very long chain about primes.", _long(), CASES_STEPS, True),
        7: ("The one whose rewriting failed.", CASES.replace("two cases", "a few cases"), CASES_STEPS, None),
    }


def leaking() -> dict[int, tuple[str, str, str, bool | None]]:
    """Chains whose threads are not merged: one with a certain leak, one with a suspected one, one without any."""
    problem = "How many ways to seat four guests at a round table?"
    suspected = (
        LEANING.replace(
            "Let T = 3! denote the number of ways to seat the other three, so T = 6.", "Say $a^2+b^2$ = 25."
        )
        .replace("we divide T by two", "we look at $a^2+b^2$ and halve")
        .replace("Since T = 6, as we found above, the result is 3 ways.", "Half of them are three ways.")
    )
    return {
        0: (problem, LEANING, LEANING_STEPS, True),
        1: (f"Two numbers $a$ and $b$ are given. {problem}", suspected, LEANING_STEPS, True),
        2: ("Find every prime $p$ for which $p^2 + 2$ is prime.", CASES, CASES_STEPS, True),
    }


class Run:
    """Writes the folders of a run under `parent`; `folder(stage)` names them."""

    def __init__(self, parent: Path, found: dict | None = None, *, merge: bool = True):
        """`found` are the chains, those of `chains` without it; with `merge` dependent threads become one."""
        self.parent, self.found, self.merge = parent, found or chains(), merge

    def folder(self, number: int) -> Path:
        return self.parent / f"{NAME}{[*STAGES.values()][number]}"

    def write(self) -> Path:
        """All six stages; the path of the last."""
        found = self.found
        samples = [
            Sample(index, f"fixture-{index}", problem, chain, "3", right, "The answer is $\\boxed{3}$.")
            for index, (problem, chain, _, right) in found.items()
        ]
        self._collect(samples)
        self._steps(found)
        texts = self._parallel(samples, found)
        texts = self._rewrite(texts)
        self._filter(self._outlines(texts))
        return self.folder(5)

    def _write(self, number: int, settings: dict, entries: list[tuple[AccountEntry, dict]]) -> None:
        with StageFolder(self.folder(number), settings) as folder:
            folder.close_account([folder.put(entry, files) for entry, files in entries])

    def _collect(self, samples: list[Sample]) -> None:
        source = self.parent / "source.jsonl"
        looping = Sample(5, "fixture-5", "The one that loops.", "Again and again.\n\n" * 60, "3", True)
        everything = sorted([*samples, looping], key=lambda sample: sample.index)
        write_atomic(source, "".join(to_json(sample.to_row()) + "\n" for sample in everything))
        entries = [
            (AccountEntry(str(sample.index), "ok", uuid=sample.uuid), {f"{sample.index}.txt": sample.thinking + "\n"})
            for sample in samples
        ]
        left_out = source_hash(SourceRow(5, "", looping.to_row()))
        entries.append((AccountEntry("5", "rejected", "looping", "fixture-5", left_out), {}))
        self._write(0, {"stage": "collect", "input": "../source.jsonl", "dataset": "fixture"}, entries)
        rows = "".join(to_json(sample.to_row()) + "\n" for sample in samples)
        write_atomic(self.folder(0) / "collected.jsonl", rows)

    def _steps(self, found: dict) -> None:
        facts = {"calls": 2, "tokens_in": 5120, "tokens_out": 780, "cost_usd": 0.0142}
        entries = []
        for index, (_, _, steps, _) in found.items():
            uuid = f"fixture-{index}"
            files = {
                f"{uuid}_reasoning.txt": steps,
                f"chat/{uuid}_chat.txt": f"=== user ===\nMark the steps of {uuid}.\n\n=== assistant ===\n{steps}",
            }
            known = calls.facts(("", calls.STEPS)) if index == 0 else {}
            entries.append((AccountEntry(str(index), "ok", uuid=uuid, facts=facts | known), files))
        calls.write_ledger(self.parent)
        self._write(1, {"stage": "steps", "input": f"../{NAME}", "annotator": "fixture"}, entries)

    def _parallel(self, samples: list[Sample], found: dict) -> dict[str, tuple[str, Lineage]]:
        entries, texts = [], {}
        for sample in samples:
            lines = annotation.lines(sample.thinking)
            record = Lineage(
                sample.index,
                sample.uuid,
                sample.problem,
                sample.solution,
                sample.correctness,
                edits.fingerprint(sample.thinking),
                len(sample.thinking),
                len(lines),
            )
            made = extraction.extract(
                sample.thinking,
                annotation.parse(found[sample.index][2], lines),
                record,
                threshold=50,
                merge_dependent=self.merge,
            )
            texts[str(sample.index)] = (made.trajectory, made.lineage)
            outcome = ("ok", None) if made.lineage.blocks else ("unchanged", "no_block")
            entry = AccountEntry(str(sample.index), *outcome, sample.uuid, facts={"blocks": len(made.lineage.blocks)})
            entries.append((entry, traced_files(str(sample.index), made.trajectory, made.lineage)))
        self._write(2, {"stage": "parallel", "input": f"../{NAME}_step1_v1", "chains": f"../{NAME}"}, entries)
        return texts

    def _rewrite(self, texts: dict) -> dict:
        entries, result = [], {}
        for id, (text, record) in texts.items():
            if id == "7":
                error = {"error": "the reply held no JSON array", "calls": 3, "cost": 0.002}
                entries.append((AccountEntry(id, "failed", "unreadable_reply", record.uuid, facts=error), {}))
                continue
            trajectory = markup.parse(text)
            asked = edit_questions(trajectory, record)
            wanted = [Replacement("Similarly, $p = 3$", "$p = 3$"), Replacement("not in the text", "x")]
            answers = [
                (question, {number: wanted for number, body in question.passages.items() if "Similarly" in body})
                for question in asked
            ]
            text, record = rewriting.apply_answers(trajectory, record, answers)
            changed = sum(len(thread.edits) for block in record.blocks for thread in block.threads)
            facts = {"edits": changed, "calls": len(asked), "tokens_in": 900, "tokens_out": 40, "cost_usd": 0.0011}
            if id == "0":
                facts |= calls.facts(("block 1", calls.EDITS), ("block 2", []))
            entries.append(
                (
                    AccountEntry(
                        id,
                        "ok" if changed else "unchanged",
                        None if changed else "nothing_to_change",
                        record.uuid,
                        facts=facts,
                    ),
                    traced_files(id, text, record),
                )
            )
            result[id] = (text, record)
        self._write(3, {"stage": "rewrite", "input": f"../{NAME}_step2_v1", "annotator": "fixture"}, entries)
        return result

    def _outlines(self, texts: dict) -> dict:
        entries, result = [], {}
        for id, (text, record) in texts.items():
            trajectory = markup.parse(text)
            plans = [
                [f"Plan {number} of thread {k} with $x_{k}$" for k in range(1, len(block.threads) + 1)]
                for number, block in enumerate(trajectory.blocks, 1)
            ]
            text = outlining.insert_outlines(trajectory, plans)
            entries.append(
                (
                    AccountEntry(id, "ok" if plans else "unchanged", None if plans else "no_block", record.uuid),
                    traced_files(id, text, record),
                )
            )
            result[id] = (text, record)
        self._write(4, {"stage": "outlines", "input": f"../{NAME}_step3_v1_v1"}, entries)
        return result

    def _filter(self, texts: dict) -> None:
        entries = []
        for id, (text, record) in texts.items():
            verdict = inspection.inspect(text, record, inspection.Rules())
            leaks = verdict.leaks.facts() if verdict.leaks else {}
            if verdict.reason:
                why = {"id": id, "uuid": record.uuid, "reason": verdict.reason, "detail": verdict.detail}
                files = {f"rejected/{id}.txt": text + "\n", f"rejected/{id}.json": json.dumps(why)}
                entries.append(
                    (
                        AccountEntry(
                            id, "rejected", verdict.reason, record.uuid, facts={"detail": verdict.detail, **leaks}
                        ),
                        files,
                    )
                )
                continue
            measures = measure(verdict.trajectory, range(0, len(text), 3))
            facts = {"measures": asdict(measures), "conserved": verdict.conserved, **leaks}
            facts["worth"] = worth.worths(verdict.trajectory, record, range(0, len(text), 3))
            entries.append((AccountEntry(id, "ok", None, record.uuid, facts=facts), traced_files(id, text, record)))
        self._write(5, {"stage": "filter", "input": f"../{NAME}_step4_v1_v1_v1", "tokenizer": "fixture"}, entries)


def add_sample(root: Path, like: str, id: str) -> None:
    """One more accepted sample in a folder that is already being viewed, as a running pipeline adds it."""
    text = (root / f"{like}.txt").read_bytes()
    record = read_traced(root / f"{like}.txt").lineage
    write_atomic(root / "trace" / f"{id}.json", replace(record, uuid=f"fixture-{id}").to_json())
    write_atomic(root / f"{id}.txt", text)


def other_run(parent: Path) -> Path:
    """A run over the same source by another annotator: one block of sample 0 is not found, sample 2 is missing."""
    found = chains()
    found.pop(2)
    found.pop(6)
    problem, chain, _, right = found[0]
    steps = CASES_STEPS.replace(
        "S4: The rest (L12-L12)\n<parallel>[Parallel reason: two ways to the same end]", "S4: The rest (L12-L12)"
    )
    head, _, tail = steps.partition("S4:")
    tail = "\n".join(line.split(" (range")[0] for line in tail.split("\n") if not line.startswith(("<", "</")))
    found[0] = (problem, chain, f"{head}S4:{tail}", right)
    last = Run(parent, found).write()
    settings = last.parent / f"{NAME}{STAGES['steps']}" / "settings.json"
    settings.write_text(settings.read_text().replace('"fixture"', '"another"'))
    return last
