"""The one model client: Responses, Chat Completions and Completions, over the ledger.

async with Client(settings_from(args)) as client:
    reply = await client.ask(client.settings.request([("user", "…")], effort="low"), label="step3/17")
    client.judge(reply.key, "accepted", label="step3/17")

The ledger is asked first; what it lacks is sent once however many ask, in this process or another, paced, retried, paid
for under `max_cost` and stored before it is returned. A process has one client. Importing this package loads no SDK.

Rooms, each importing only those before it: `errors`, `usage`, `credentials`, `apis` (how each API writes and reads),
`requests`, `prices`, `settings`, `rate_limit`, `transport` (HTTP), `session` (what calls share), `sender` (one call),
`batch_files`, `batch_service` and `batch` (the Batch API), `client`; `estimates` and `planning_client` for plans.
"""

from threadweaver.client.client import Client
from threadweaver.client.errors import SampleError
from threadweaver.client.estimates import Estimate
from threadweaver.client.planning_client import Drawn, PlanningClient
from threadweaver.client.requests import Reply
from threadweaver.client.settings import add_client_flags, settings_from
from threadweaver.client.usage import Usage, repair_of

__all__ = [
    "Client",
    "Drawn",
    "Estimate",
    "PlanningClient",
    "Reply",
    "SampleError",
    "Usage",
    "add_client_flags",
    "repair_of",
    "settings_from",
]
