"""One conversation with the model: its turns in order, every reply validated, at most one repair turn each.

A repaired reply takes the place of the first one in the rest of the conversation: later turns neither see nor pay for
the failed one. Turns in the ledger are answered from it, so a conversation continues where it broke off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from threadweaver.annotators.llm import validation
from threadweaver.annotators.llm.prompts import Prompt
from threadweaver.annotators.llm.validation import ReplyFault, Validation
from threadweaver.annotators.protocol import PLANNED, Answer
from threadweaver.client import Client, Reply, SampleError, Usage, repair_of
from threadweaver.text import shown

T = TypeVar("T")
Validator = Callable[[str, str], Validation[T]]
"""Validates a reply's text; the second text is the accepted reply of the turn before, empty in the first."""

CUT_REPLY_SHOWN = 1000
"""Characters of a reply that was cut off which the repair turn repeats: 32,000 tokens of it would help nobody."""


TURN_LEFT_OUT = "(This turn is left out.)"
"""Replaces a reply that remained empty or truncated: one such reply does not waste the other turns."""

KEY_DIGITS = 16
"""Hexadecimal digits of a request's key in the facts: enough to find it in the ledger."""


class NotAccepted(Exception):
    """Neither the reply to a turn nor its repair was accepted."""

    def __init__(self, code: str, detail: str):
        super().__init__(detail)
        self.code = code


class Conversation(Generic[T]):
    """One conversation. `repair` is the prompt that asks for a reply again; `where` precedes the error of a failed
    answer, to tell it from those of other calls."""

    def __init__(self, client: Client, params: Mapping[str, object], repair: Prompt, label: str, where: str = ""):
        self.client, self.params, self.repair, self.label, self.where = client, params, repair, label, where
        self.history: list[tuple[str, str]] = []
        self.transcript: list[str] = []
        self.left_out: list[str] = []
        self.keys: list[str] = []
        self.calls = self.repairs = self.accepted_first = 0
        self.usage = Usage()
        self.cost: float | None = 0.0
        self.recorded, self.recorded_cost = 0, 0.0

    async def run(self, turns: Sequence[str], validate: Validator[T]) -> Answer[T]:
        """Run all turns; the last reply is validated, the earlier ones only must not be empty."""
        try:
            for text in turns[:-1]:
                await self._prepare(text)
            found = await self._turn(turns[-1], validate)
        except NotAccepted as error:
            return self._answer(None, error.code, str(error), refused=True)
        except SampleError as error:
            return self._answer(None, error.code, str(error))
        codes = [*self.left_out, *(fault.code for fault in found.faults)]
        return self._answer(found.value, PLANNED if found.value is None else None, problems=codes)

    async def _prepare(self, text: str) -> None:
        """Run a turn before the last one; at most one of them may remain without a reply."""
        try:
            await self._turn(text, validation.validate_text)
        except NotAccepted as error:
            if self.left_out:
                raise
            self.left_out.append(f"turn_left_out_{error.code}")
            self.history.append(("assistant", TURN_LEFT_OUT))

    async def _turn(self, text: str, validate: Validator) -> Validation:
        """Ask, validate, and ask once more if necessary; the accepted reply is added to the history. Raises
        NotAccepted."""
        before = self.history[-1][1] if self.history else ""
        number = len(self.history) // 2 + 1
        self.history.append(("user", text))
        first = await self._ask(self.history, f"turn {number}", text)
        found = self._validate(first, validate, before)
        if not found.faults:
            self.accepted_first += 1
            self._settle(first, "accepted")
            self.history.append(("assistant", first.text))
            return found
        second, repaired = await self._repair(first, found, validate, before, number)
        chosen = first if second is None else second
        self.history.append(("assistant", chosen.text))
        return repaired

    async def _repair(
        self, first: Reply, found: Validation, validate: Validator, before: str, number: int
    ) -> tuple[Reply | None, Validation]:
        """Ask for a repair; return it with its validation, or None with the validation of the first reply if that
        is better."""
        self.repairs += 1
        (request,) = self.repair.fill({"faults": validation.listed(found.faults)})
        cut = first.status in ("truncated", "incomplete")
        repeated = shown(first.text[:CUT_REPLY_SHOWN] if cut else first.text)
        messages = [*self.history, ("assistant", repeated.strip() or "(no text)"), ("user", request)]
        second = await self._ask(messages, f"turn {number}, repair", request, repair_of(self.label))
        repaired = self._validate(second, validate, before)
        if second.status == PLANNED:
            return second, repaired
        code = found.faults[0].code
        left = repaired.faults[0].code if repaired.faults else ""
        if repaired.value is None and found.value is None:
            self._settle(first, "rejected", code)
            self._settle(second, "rejected", left)
            sentences = " ".join(fault.sentence for fault in repaired.faults)
            raise NotAccepted(left, f"turn {number}, after the repair: {sentences}")
        if repaired.value is None or (found.value is not None and len(repaired.faults) > len(found.faults)):
            self._settle(first, "accepted", code)
            self._settle(second, "unused", left)  # not rejected: there is nothing to ask again
            worse = ReplyFault(f"repair_{left}", "The repair was worse.")
            return None, Validation(found.value, (*found.faults, worse))
        self._settle(first, "repaired", code)
        self._settle(second, "accepted", left)
        return second, repaired

    async def _ask(self, messages: Sequence[tuple[str, str]], title: str, asked: str, label: str = "") -> Reply:
        self.transcript.append(f"=== {title}: question ===\n{asked}\n")
        request = self.client.settings.request(messages, **self.params)
        self.keys.append(request.at(0).key[:KEY_DIGITS])
        reply = await self.client.ask(request, label=label or self.label)
        ended = "" if reply.status == "ok" else f" ({reply.status})"
        self.transcript.append(f"=== {title}: answer{ended} ===\n{shown(reply.text)}\n")
        self.calls += 1
        self.usage += reply.usage
        self._count_cost(reply)
        return reply

    def _count_cost(self, reply: Reply) -> None:
        """Add what a reply cost; what a recorded one cost when it was recorded is counted apart."""
        if reply.recorded:
            self.recorded += 1
            self.recorded_cost += reply.cost or 0
        else:
            self.cost = None if self.cost is None or reply.cost is None else self.cost + reply.cost

    def _validate(self, reply: Reply, validate: Validator, before: str) -> Validation:
        if reply.status == PLANNED:  # only counted: neither a value nor a fault
            return Validation(None)
        if reply.status != "ok":
            fault = validation.status_fault(reply.status, self.client.settings.output_limit, reply.finish)
            return Validation(None, (fault,))
        return validate(reply.text, before)

    def _settle(self, reply: Reply, verdict: str, why: str = "") -> None:
        self.client.judge(reply.key, verdict, why, label=self.label)

    def _answer(
        self,
        value: T | None,
        reason: str | None = None,
        error: str = "",
        problems: Sequence[str] = (),
        refused: bool = False,
    ) -> Answer[T]:
        """Return the answer; its facts cover the whole conversation, no matter when it was paid: a replay gives the
        same."""
        facts: dict[str, object] = {
            "calls": self.calls,
            "accepted_first": self.accepted_first,
            "repairs": self.repairs,
            "tokens_in": self.usage.input,
            "tokens_cached": self.usage.cached,
            "tokens_out": self.usage.output,
            "tokens_reasoning": self.usage.reasoning,
            "ledger": [{"about": self.where.rstrip(": "), "keys": self.keys}],
        }
        if self.cost is not None:
            facts["cost_usd"] = round(self.cost, 9)
        if self.recorded:
            facts |= {"recorded": self.recorded, "recorded_usd": round(self.recorded_cost, 9)}
        if problems:
            facts["problems"] = list(problems)
        if error:
            facts["error"] = f"{self.where}{error} " if self.where else error
        return Answer(value, reason, "\n".join(self.transcript), facts, refused)
