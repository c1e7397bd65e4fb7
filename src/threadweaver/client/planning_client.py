"""A client that sends nothing: what the ledger lacks is answered with a made-up text of the expected length, and
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from threadweaver.client.client import Client
from threadweaver.client.estimates import Estimate, Planned, Planner
from threadweaver.client.requests import Reply, Request, fault_of, reply_of
from threadweaver.client.settings import ClientSettings
from threadweaver.client.usage import Usage, stage_of
from threadweaver.ledger import Ledger, LedgerEntry


@dataclass
class Drawn:
    """What was asked of a planning client: `to_pay`, the calls that a client would make; `whole`, these and the paid
    ones as if all were to be paid; `unpaid`, requests by turn; `first_bytes`, the size of the first turns, paid or not;
    `recorded`, imported replies, which are no measurement.
    """

    to_pay: Estimate = field(default_factory=Estimate)
    whole: Estimate = field(default_factory=Estimate)
    unpaid: Counter[int] = field(default_factory=Counter)
    first_bytes: int = 0
    recorded: int = 0

    def __add__(self, other: Drawn) -> Drawn:
        return Drawn(
            self.to_pay + other.to_pay,
            self.whole + other.whole,
            self.unpaid + other.unpaid,
            self.first_bytes + other.first_bytes,
            self.recorded + other.recorded,
        )


class PlanningClient(Client):
    """As `Client`, for planning. A made-up reply has the status "planned". The ledger is only read, and need not
    exist.
    """

    def __init__(self, settings: ClientSettings, *, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(settings, environment=environment)
        self._drawn = Drawn()
        self._planner: Planner | None = None

    def _open_ledger(self) -> Ledger:
        path = self.settings.ledger
        exists = path is not None and path.exists()
        return Ledger(path if exists else None, read_only=exists)

    async def plan(self, request: Request, *, label: str = "") -> Planned:
        """Return what a client would do: the paid reply, or an estimate of what the call would cost."""
        found = self.choose(request, await self.ledger.find(request.at(0).key))
        if isinstance(found, LedgerEntry):
            return Planned(reply_of(found, from_ledger=True), Estimate(paid=1))
        return Planned(None, (await self.planner()).estimate(found, stage_of(label)))

    async def planner(self) -> Planner:
        """Return the planner, made from what the ledger holds at the first call."""
        if self._planner is None:
            tier = "batch" if self.settings.batch else self.settings.service_tier or "default"
            self._planner = Planner(await self.ledger.statistics(self.settings.model), self.price, tier)
        return self._planner

    async def ask(self, request: Request, *, label: str = "") -> Reply:
        planned = await self.plan(request, label=label)
        drawn, estimate = self._drawn, planned.estimate
        drawn.first_bytes += request.bytes if request.turn == 1 else 0
        drawn.to_pay += estimate
        if planned.reply is not None:
            cost = (await self.planner()).at_this_tier(planned.reply.usage)
            drawn.whole += Estimate(1, 0, planned.reply.usage, cost)
            drawn.recorded += planned.reply.recorded
            if fault := fault_of(planned.reply):
                raise fault
            return planned.reply
        drawn.whole += estimate
        drawn.unpaid[request.turn] += 1
        return Reply("x" * estimate.reply_bytes, "planned", Usage(), 0.0, False, "stop", request.key)

    def judge(self, key: str, verdict: str, why: str = "", *, label: str = "") -> None:
        """Do nothing: a plan changes nothing."""

    async def drain(self, stage: str, turns: int) -> Drawn:
        """Return what was asked since the last time, with the repairs expected in conversations of `turns` turns."""
        drawn, self._drawn = self._drawn, Drawn()
        repairs = (await self.planner()).repairs(stage_of(stage), turns, drawn.unpaid[turns])
        drawn.to_pay += repairs
        drawn.whole += repairs
        return drawn
