"""The one model client: Responses, Chat Completions and Completions, over the ledger.

async with Client(settings_from(args)) as client:
reply = await client.ask(client.settings.request([("user", "…")], effort="low"), label="step3/17")
client.judge(reply.key, "accepted", label="step3/17")

The ledger is asked first; what it lacks is sent once however many ask, in this process or another, paced,
retried, paid for under `max_cost` and stored before it is returned. A process has one client, and builds
it late: importing this package loads no SDK.
"""

from threadweaver.client.client import Client
from threadweaver.client.credentials import find_base_url, find_key, scrub
from threadweaver.client.errors import (
    Authentication,
    BadRequest,
    CapReached,
    ClientError,
    ContentFilter,
    ContextTooLong,
    GaveUp,
    NotInLedger,
    QuotaExhausted,
    Retryable,
    RunError,
    SampleError,
    ServerDown,
)
from threadweaver.client.estimates import Estimate, Planned
from threadweaver.client.planning_client import Drawn, PlanningClient
from threadweaver.client.prices import Price, price_of
from threadweaver.client.requests import Message, Reply, Request, Usage
from threadweaver.client.settings import Batching, ClientSettings, Retrying, add_client_flags, settings_from
from threadweaver.client.usage import Tally, repair_of

__all__ = [
    "Authentication",
    "BadRequest",
    "Batching",
    "CapReached",
    "Client",
    "ClientError",
    "ClientSettings",
    "ContentFilter",
    "ContextTooLong",
    "Drawn",
    "Estimate",
    "GaveUp",
    "Message",
    "NotInLedger",
    "Planned",
    "PlanningClient",
    "Price",
    "QuotaExhausted",
    "Reply",
    "Request",
    "Retryable",
    "Retrying",
    "RunError",
    "SampleError",
    "ServerDown",
    "Tally",
    "Usage",
    "add_client_flags",
    "find_base_url",
    "find_key",
    "price_of",
    "repair_of",
    "scrub",
    "settings_from",
]
