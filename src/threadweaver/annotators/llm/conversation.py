"""One conversation with the model: its turns in order, every reply judged, at most one repair turn each.

A reply that was repaired stands in the further conversation as if it had been the first: later turns
neither see nor pay for the failed one. Turns that the ledger holds are answered by it, so a conversation
goes on where it broke off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from threadweaver.annotators.llm import validation
from threadweaver.annotators.llm.validation import ReplyFault, Validation
from threadweaver.annotators.protocol import Answer
from threadweaver.client import Client, Reply, SampleError, Usage, repair_of

T = TypeVar("T")
Validator = Callable[[str, str], Validation[T]]
"""Judges a reply's text; the second text is the accepted reply of the turn before, empty in the first."""

CUT_REPLY_SHOWN = 1000
"""Characters of a truncated reply that the repair turn repeats: 32,000 tokens of it would help nobody."""


TURN_LEFT_OUT = "(This turn is left out.)"
"""What stands in the conversation for a reply that stayed empty or cut off: six turns are not thrown away for one."""


class NotAccepted(Exception):
    """A turn whose reply was not accepted, nor its repair."""

    def __init__(self, code: str, detail: str):
        super().__init__(detail)
        self.code = code


class Conversation(Generic[T]):
    """`where` begins the error of an answer that failed, for a reader who sees it beside those of other
    calls."""

    def __init__(self, client: Client, params: Mapping[str, object], label: str, where: str = ""):
        self.client, self.params, self.label, self.where = client, params, label, where
        self.history: list[tuple[str, str]] = []
        self.transcript: list[str] = []
        self.left_out: list[str] = []
        self.calls = self.repairs = self.accepted_first = 0
        self.usage = Usage()
        self.cost: float | None = 0.0

    async def run(self, turns: Sequence[str], judge: Validator[T]) -> Answer[T]:
        """All turns; the last reply is judged by `judge`, the ones before only have to say something."""
        try:
            for text in turns[:-1]:
                await self._way(text)
            judgement = await self._turn(turns[-1], judge)
        except NotAccepted as error:
            return self._answer(None, error.code, str(error))
        except SampleError as error:
            return self._answer(None, error.code, str(error))
        codes = [*self.left_out, *(fault.code for fault in judgement.faults)]
        return self._answer(judgement.value, problems=codes)

    async def _way(self, text: str) -> None:
        """A turn before the last, which only prepares it: one of them may stay without a reply."""
        try:
            await self._turn(text, validation.validate_text)
        except NotAccepted as error:
            if self.left_out:
                raise
            self.left_out.append(f"turn_left_out_{error.code}")
            self.history.append(("assistant", TURN_LEFT_OUT))

    async def _turn(self, text: str, judge: Validator) -> Validation:
        """Ask, judge, and ask once more if need be; the accepted reply is put into the history. Raises
        NotAccepted."""
        before = self.history[-1][1] if self.history else ""
        number = len(self.history) // 2 + 1
        self.history.append(("user", text))
        first = await self._ask(self.history, f"turn {number}", text)
        judgement = self._judge(first, judge, before)
        if not judgement.faults:
            self.accepted_first += 1
            self._settle(first, "accepted")
            self.history.append(("assistant", first.text))
            return judgement
        second, repaired = await self._repair(first, judgement, judge, before, number)
        chosen = first if second is None else second
        self.history.append(("assistant", chosen.text))
        return repaired

    async def _repair(
        self, first: Reply, judgement: Validation, judge: Validator, before: str, number: int
    ) -> tuple[Reply | None, Validation]:
        """The repaired reply and its judgement, or None and that of the first reply where it is the better
        one."""
        self.repairs += 1
        request = validation.repair_request(judgement.faults)
        shown = first.text if first.status != "truncated" else first.text[:CUT_REPLY_SHOWN]
        messages = [*self.history, ("assistant", shown.strip() or "(no text)"), ("user", request)]
        second = await self._ask(messages, f"turn {number}, repair", request, repair_of(self.label))
        repaired = self._judge(second, judge, before)
        code = judgement.faults[0].code
        left = repaired.faults[0].code if repaired.faults else ""
        if repaired.value is None and judgement.value is None:
            self._settle(first, "rejected", code)
            self._settle(second, "rejected", left)
            told = " ".join(fault.sentence for fault in repaired.faults)
            raise NotAccepted(left, f"turn {number}, after the repair: {told}")
        if repaired.value is None or (judgement.value is not None and len(repaired.faults) > len(judgement.faults)):
            self._settle(first, "accepted", code)
            self._settle(second, "rejected", left)
            told = ReplyFault(f"repair_{left}", "The repair was worse.")
            return None, Validation(judgement.value, (*judgement.faults, told))
        self._settle(first, "repaired", code)
        self._settle(second, "accepted", left)
        return second, repaired

    async def _ask(self, messages: Sequence[tuple[str, str]], title: str, asked: str, label: str = "") -> Reply:
        self.transcript.append(f"=== {title}: question ===\n{asked}\n")
        request = self.client.settings.request(messages, **self.params)
        reply = await self.client.ask(request, label=label or self.label)
        ended = "" if reply.status == "ok" else f" ({reply.status})"
        self.transcript.append(f"=== {title}: answer{ended} ===\n{reply.text}\n")
        self.calls += 1
        self.usage += reply.usage
        self.cost = None if self.cost is None or reply.cost is None else self.cost + reply.cost
        return reply

    def _judge(self, reply: Reply, judge: Validator, before: str) -> Validation:
        if reply.status == "planned":  # only counted: the answer has no value and no fault
            return Validation(None)
        if reply.status != "ok":
            fault = validation.status_fault(reply.status, self.client.settings.output_limit)
            return Validation(None, (fault,))
        return judge(reply.text, before)

    def _settle(self, reply: Reply, verdict: str, why: str = "") -> None:
        self.client.judge(reply.key, verdict, why, label=self.label)

    def _answer(
        self, value: T | None, reason: str | None = None, error: str = "", problems: Sequence[str] = ()
    ) -> Answer[T]:
        """Facts count the conversation as it stands in the ledger, whenever it was paid: a replay gives the
        same."""
        facts: dict[str, object] = {
            "calls": self.calls,
            "accepted_first": self.accepted_first,
            "repairs": self.repairs,
            "tokens_in": self.usage.input,
            "tokens_cached": self.usage.cached,
            "tokens_out": self.usage.output,
            "tokens_reasoning": self.usage.reasoning,
        }
        if self.cost is not None:
            facts["cost_usd"] = round(self.cost, 9)
        if problems:
            facts["problems"] = list(problems)
        if error:
            facts["error"] = f"{self.where}{error} " if self.where else error
        return Answer(value, reason, "\n".join(self.transcript), facts)
