"""What can go wrong with a model call, one tree.

ClientError
├── SampleError            this request has no reply; the run continues with others
│   ├── BadRequest         400, 413, 422: the server will not accept it, now or later
│   │   ├── ContextTooLong
│   │   └── ContentFilter
│   ├── Unreadable         paid, stored, and not a reply
│   ├── PromptCut          paid, stored, and the model saw only a part of the prompt
│   ├── GaveUp             every retry failed; the next run asks again
│   ├── CapReached         its worst case does not fit under --max-cost
│   └── NotInLedger        --offline, and nobody has paid for it yet
├── Retryable              never leaves the client while tries are left
│   ├── RateLimited        429: too fast
│   ├── ServerFault        408, 409, 425, 5xx
│   ├── TimedOut
│   ├── ConnectionFault
│   └── BadReply           a 200 that is not a reply
│       └── NotAReply      JSON of another form: it may be paid, so it is not asked for again
└── RunError               also a UserError: one line, exit 2, everything kept
    ├── Authentication     401, 403
    ├── QuotaExhausted     insufficient_quota
    ├── NoSuchModel        404, 405, 410, 501
    ├── WaitTooLong        the server asks for a longer wait than --longest-wait
    ├── ServerDown         nothing answers
    └── BatchTrouble       a batch that this key cannot reach, or that the service refused

`code` is the reason that the account of samples shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from threadweaver.errors import UserError


class ClientError(Exception):
    """`code` names the kind; `billed` says whether the call may have cost money although no reply came of it.

    Where the server answered, `answered` is its status and message, and `headers` are its headers.
    """

    code = "client_error"
    billed = False
    answered = ""
    headers: Mapping[str, str] = {}


class SampleError(ClientError):
    code = "no_reply"


class BadRequest(SampleError):
    """`detail` is what the server said, as JSON."""

    code = "bad_request"
    detail: Any = None


class ContextTooLong(BadRequest):
    code = "context_too_long"


class ContentFilter(BadRequest):
    code = "content_filter"


class Unreadable(SampleError):
    code = "unreadable"


class PromptCut(SampleError):
    code = "prompt_cut"


class GaveUp(SampleError):
    """`last` is the fault of the last try."""

    code = "gave_up"

    def __init__(self, message: str, last: Retryable) -> None:
        super().__init__(message)
        self.last = last
        self.code = last.code


class CapReached(SampleError):
    code = "cap_reached"


class NotInLedger(SampleError):
    code = "not_in_ledger"


class Retryable(ClientError):
    """`retry_after`: seconds the server asks for, or None."""

    code = "retryable"

    def __init__(self, message: str, *, retry_after: float | None = None, billed: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.billed = billed


class RateLimited(Retryable):
    code = "rate_limited"


class ServerFault(Retryable):
    code = "server_fault"


class TimedOut(Retryable):
    code = "timed_out"


class ConnectionFault(Retryable):
    """`reached`: whether there was a connection, so that the server may have worked on the call."""

    code = "connection_fault"

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message, billed=reached)
        self.reached = reached


class BadReply(Retryable):
    code = "bad_reply"


class NotAReply(BadReply):
    code = "bad_reply"


class RunError(ClientError, UserError):
    code = "run_error"


class Authentication(RunError):
    code = "authentication"


class QuotaExhausted(RunError):
    code = "quota_exhausted"


class NoSuchModel(RunError):
    code = "no_such_model"


class WaitTooLong(RunError):
    code = "wait_too_long"


class ServerDown(RunError):
    code = "server_down"


class BatchTrouble(RunError):
    code = "batch_trouble"
