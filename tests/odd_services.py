"""Batch services and served models that answer oddly in one way each, beside the odd answers of `odd_answers`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from fake_batches import BatchDesk
from fake_openai import FakeOpenAI
from odd_answers import DEEP, KEPT, LOST, REFUSALS, Odd, raw

Json = dict[str, Any]


def first(change: Callable[[Json], Any]) -> Callable[[bytes], bytes]:
    """Change the first row of a file of results."""

    def odd(data: bytes) -> bytes:
        begun, *rest = data.split(b"\n")
        row = json.loads(begun)
        made = change(row)
        return b"\n".join([json.dumps(row if made is None else made).encode(), *rest])

    return odd


def dressed(name: str) -> Callable[[Json], Any]:
    """Make the body of a row one of the odd answers; one that is not JSON stays as it is."""

    def odd(row: Json) -> None:
        made = (KEPT | LOST)[name]("responses", row["response"]["body"])
        if not isinstance(made, web.StreamResponse):
            row["response"]["body"] = made

    return odd


RESULTS: Mapping[str, Callable[[bytes], bytes]] = {
    "results cut": lambda data: data[:-200],
    "a line that is not JSON": lambda data: b"garbage\n" + data,
    "a line of a list": lambda data: b"[1, 2]\n" + data,
    "a line of null": lambda data: b"null\n" + data,
    "a line nested deeply": lambda data: DEEP + b"\n" + data,
    "a line twice": lambda data: data + data.split(b"\n")[0] + b"\n",
    "a mark before the lines": lambda data: b"\xef\xbb\xbf" + data,
    "no lines": lambda data: b"",
    "a row without a response": first(lambda row: {"custom_id": row["custom_id"]}),
    "a row with a list": first(lambda row: row | {"response": [1]}),
    "a row with an error as text": first(lambda row: row | {"response": {"status_code": 500, "body": "oops"}}),
    "a row with a page": first(lambda row: row | {"response": {"status_code": 502, "body": "<html>x</html>"}}),
    "a row with a status as text": first(lambda row: row["response"].update(status_code="bad")),
    "a row of nobody": first(lambda row: row | {"custom_id": "f" * 64}),
    "a row whose name is a list": first(lambda row: row | {"custom_id": ["x"]}),
    **{f"a row: {name}": first(dressed(name)) for name in (KEPT | LOST)},
}
STATES: Mapping[str, Callable[[Json], Any]] = {
    "status a page": lambda batch: raw(b"<html>", "text/html"),
    "status missing": lambda batch: {name: batch[name] for name in batch if name != "status"},
    "status a list": lambda batch: [1],
    "status unknown": lambda batch: batch | {"status": "paused"},
    "counts a list": lambda batch: batch | {"request_counts": [1]},
    "counts a text": lambda batch: batch | {"request_counts": {"completed": "x"}},
    "counts negative": lambda batch: batch | {"request_counts": {"completed": -7}},
    "file null": lambda batch: batch | {"output_file_id": None},
    "file missing": lambda batch: batch | {"output_file_id": "file-nope"},
    "failed with a list": lambda batch: batch | {"status": "failed", "errors": [{"code": "x"}]},
    "failed with a text": lambda batch: batch | {"status": "failed", "errors": {"data": ["x"]}},
}
MAKING: Mapping[str, Callable[[Json], Any]] = {
    "made, a page": lambda batch: raw(b"ok", "text/html"),
    "made, without a name": lambda batch: {"object": "batch"},
}
UPLOADS: Mapping[str, Callable[[Json], Any]] = {
    "uploaded, a page": lambda file: raw(b"<html>", "text/html"),
    "uploaded, without a name": lambda file: {"object": "file"},
}
UNPAID = ("a row with an error as text", "a row with a page")
"""What says that the model did not work: it is asked again, though our server has counted its reply."""
BATCHES = (*RESULTS, *STATES, *MAKING, *UPLOADS)


class OddDesk(BatchDesk):
    """The Batch API of a server whose `odd.answer` names what is odd in it."""

    def changed(self, table: Mapping[str, Callable[[Any], Any]], response: web.Response) -> web.Response:
        change = table.get(self.server.odd.answer)
        if change is None or response.status != 200:
            return response
        made = change(json.loads(response.body))
        return made if isinstance(made, web.Response) else web.json_response(made)

    async def content(self, request: web.Request) -> web.Response:
        response = await super().content(request)
        change = RESULTS.get(self.server.odd.answer)
        return raw(change(response.body)) if change and response.status == 200 else response

    async def status(self, request: web.Request) -> web.Response:
        return self.changed(STATES, await super().status(request))

    async def create(self, request: web.Request) -> web.Response:
        return self.changed(MAKING, await super().create(request))

    async def upload(self, request: web.Request) -> web.Response:
        return self.changed(UPLOADS, await super().upload(request))


# ---- served models


def choice(**fields: Any) -> Callable[[Json], Any]:
    return lambda reply: reply["choices"][0].update(fields)


CHOICES: Mapping[str, Callable[[Json], Any]] = {
    "ids outside the vocabulary": choice(token_ids=[10**9, 5]),
    "ids below 0": choice(token_ids=[-1, 5]),
    "ids of 64 bits": choice(token_ids=[2**63]),
    "ids as text": choice(token_ids=["a"]),
    "ids with a fraction": choice(token_ids=[1.5]),
    "ids nested": choice(token_ids=[[1], [2]]),
    "ids with null": choice(token_ids=[None]),
    "ids with true": choice(token_ids=[True]),
    "ids an object": choice(token_ids={"a": 1}),
    "ids a number": choice(token_ids=5),
    "ids without end": choice(token_ids=[5] * 500_000),
    "no ids": choice(token_ids=[]),
    "text a number": choice(text=5),
    "text a list": choice(text=["a"]),
    "text with half a character": choice(text="a\ud800b"),
    "text with NUL": choice(text="a\0b\\boxed{1}"),
    "ended by a list": choice(finish_reason=["stop"]),
    "ended by nothing": choice(finish_reason=None),
    "stopped by a list": choice(matched_stop=["x"]),
    "stopped by a number": choice(matched_stop=5, token_ids=[5, 6]),
    "stopped by true": choice(matched_stop=True),
    "many outlines": choice(text="".join(f"<Outline>{number}: a</Outline>\n" for number in range(1, 500))),
    "an outline beyond count": choice(text=f"<Outline>{10**30}: a</Outline>\n"),
}
MODELS: Mapping[str, Callable[[Json], Any]] = {
    "length as text": lambda cards: cards["data"][0].update(max_model_len="4096"),
    "length below 0": lambda cards: cards["data"][0].update(max_model_len=-1),
    "name a number": lambda cards: cards["data"][0].update(id=5),
    "name null": lambda cards: cards["data"][0].update(id=None),
    "models null": lambda cards: {"data": None},
    "models a list": lambda cards: [1],
    "models a text": lambda cards: {"data": "abc"},
    "models a page": lambda cards: raw(b"<html>hello", "text/html"),
    "models nested deeply": lambda cards: raw(DEEP[: len(DEEP) // 2]),
    "models empty": lambda cards: raw(b""),
}
SERVED = (*CHOICES, *MODELS)


class OddServed(Odd):
    def dress(self, api: str, request: Mapping[str, Any], reply: Json) -> Any:
        change = CHOICES.get(self.answer)
        if change is None or api != "completions":
            return super().dress(api, request, reply)
        made = change(reply)
        return reply if made is None else made


class OddServer(FakeOpenAI):
    """A server that is odd in one way at a time: GET /odd?answer=NAME sets it and forgets what was counted."""

    def __post_init__(self) -> None:
        self.odd = self.disguise = OddServed()
        super().__post_init__()
        self.desk = OddDesk(self, **self.batch)

    async def set_odd(self, request: web.Request) -> web.Response:
        self.odd.answer = request.query["answer"]
        for counts in (self.counts, self.paid, self.seen):
            counts.clear()
        return web.json_response({})

    async def send_models(self, request: web.Request) -> web.Response:
        cards = {"object": "list", "data": [{"id": "fake", "object": "model", "max_model_len": 40_960}]}
        change = MODELS.get(self.odd.answer)
        made = change(cards) if change else None
        return made if isinstance(made, web.Response) else web.json_response(cards if made is None else made)

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_get("/odd", self.set_odd)
        return app


ANSWERS = (*KEPT, *LOST, *REFUSALS)
