"""A batch service that answers in another form, and a batch task that dies: nobody waits for ever, nothing paid is lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from asking import ask_all, settings_in
from fake_openai import FakeOpenAI
from threadweaver.client import Reply, batch, errors
from threadweaver.client.batch_service import BatchService
from threadweaver.client.settings import Batching
from threadweaver.client.transport import Transport

TEXTS = [f"q{n}" for n in range(20)]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    settings = settings_in(tmp_path, monkeypatch)
    return replace(settings, batch=Batching(quiet=0.1, poll=0.05), output_limit=200)


class Answering:
    """A transport to a service that answers every call with `data`."""

    def __init__(self, data: object) -> None:
        self.data = data

    async def upload(self, name: str, data: bytes) -> str:
        return "file-0"

    async def call(self, method: str, path: str, body: bytes | None = None) -> tuple[object, dict[str, str]]:
        return self.data, {}


NOT_A_BATCH = [None, [], "text", {}, {"id": 3, "status": "completed"}, {"id": "b", "status": None, "data": [3]}]


@pytest.mark.parametrize("data", NOT_A_BATCH)
async def test_json_of_another_form_is_a_fault_to_retry(data):
    service = BatchService(Answering(data))
    calls = [service.find("name"), service.look("b"), service.look("b", cancel=True)]
    if not isinstance(data, dict) or data.get("id") != "b":
        calls.append(service.create("name", "/v1/responses", [b"{}\n"]))
    for call in calls:
        with pytest.raises(errors.BadReply, match="not in the form of the Batch API"):
            await call


@pytest.mark.parametrize("path", ["/batches", "/batches/batch_0"])
async def test_a_garbled_answer_of_the_service_is_asked_for_again(settings, monkeypatch, path):
    plain, garbled = Transport.call, []

    async def call(self, method, where, *more, **options):
        data, headers = await plain(self, method, where, *more, **options)
        if where == path and len(garbled) < 3:
            garbled.append(data)
            return {"object": "error"}, headers
        return data, headers

    monkeypatch.setattr(Transport, "call", call)
    with FakeOpenAI() as server:
        outcomes, _ = await ask_all(replace(settings, base_url=server.url), TEXTS)
        stats = server.stats()
    assert garbled and all(isinstance(reply, Reply) for reply in outcomes)
    assert (stats["answered"], stats["answered_twice"], stats["batches"]["rows"]) == (20, 0, [20])


async def test_a_service_that_only_garbles_ends_the_run(settings, monkeypatch):
    async def look(*_, **__):
        raise errors.BadReply("garbled")

    monkeypatch.setattr(BatchService, "look", look)
    monkeypatch.setattr(batch, "FAULTS", 3)
    with FakeOpenAI() as server:
        outcomes, client = await ask_all(replace(settings, base_url=server.url), TEXTS)
    assert all(isinstance(error, errors.ServerDown) for error in outcomes) and client.session.ended in outcomes


@pytest.mark.parametrize("error", [KeyError("status"), ModuleNotFoundError("tqdm"), RuntimeError("closed")])
async def test_whatever_the_batch_task_dies_of_reaches_all_who_wait(settings, monkeypatch, error):
    async def look(*_, **__):
        raise error

    monkeypatch.setattr(BatchService, "look", look)
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        outcomes, _ = await ask_all(settings, TEXTS)
        assert outcomes == [error] * len(TEXTS)
        monkeypatch.undo()
        again, _ = await ask_all(settings, TEXTS)
        assert all(isinstance(reply, Reply) for reply in again) and server.stats()["answered_twice"] == 0


def changed(row: dict, **body: object) -> bytes:
    row["response"]["body"] |= body
    return json.dumps(row).encode()


DAMAGE = {
    "not JSON": lambda row: b'{"custom_id": ',
    "not a row": lambda row: b"[1]",
    "no key": lambda row: json.dumps({**row, "custom_id": 7}).encode(),
    "no response": lambda row: json.dumps({**row, "response": "lost"}).encode(),
    "no status": lambda row: json.dumps({**row, "response": {"status_code": "two hundred", "body": {}}}).encode(),
    "no output": lambda row: changed(row, output=None),
}
ODD_COUNTS = {
    "no numbers": lambda row: changed(row, usage={"input_tokens": "many", "output_tokens": 1}),
    "no end of numbers": lambda row: changed(row, usage={"input_tokens": 10**30, "output_tokens": 1}),
    "no text": lambda row: changed(row, service_tier="\ud800"),
}


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("name", [*DAMAGE, *ODD_COUNTS])
async def test_a_malformed_row_is_the_failure_of_that_row_only(settings, monkeypatch, name, lasting):
    """A row whose text is whole is kept, whatever its counts are; one that cannot be read is read again, and is then
    paid and lost: nobody asks for it a second time.
    """
    damage, lost = (DAMAGE | ODD_COUNTS)[name], int(name in DAMAGE and lasting)
    plain, damaged = Transport.fetch, []

    async def fetch(self, method, path, *more, **options):
        data, headers = await plain(self, method, path, *more, **options)
        if path.endswith("/content") and (lasting or not damaged):
            first, *rest = data.split(b"\n")
            damaged.append(json.loads(first)["custom_id"])
            data = b"\n".join([damage(json.loads(first)), *rest])
        return data, headers

    monkeypatch.setattr(Transport, "fetch", fetch)
    with FakeOpenAI() as server:
        settings = replace(settings, base_url=server.url)
        for _ in range(2):
            outcomes, _ = await ask_all(settings, TEXTS)
            failed = [outcome for outcome in outcomes if not isinstance(outcome, Reply)]
            assert len(failed) == lost and all(isinstance(error, errors.Unreadable) for error in failed)
        stats = server.stats()
    assert (stats["batches"]["rows"], stats["received"], stats["answered"], stats["answered_twice"]) == ([20], 0, 20, 0)


ODD_SERVICES = {
    "an unknown status": {"status": "paused"},
    "no status": {"status": None},
    "no file of what it completed": {"output_file_id": None},
    "a file that does not exist": {"output_file_id": "file-nope"},
}


@pytest.mark.parametrize("odd", ODD_SERVICES.values(), ids=ODD_SERVICES)
async def test_a_service_that_does_not_come_to_an_end_ends_the_run(settings, monkeypatch, odd):
    plain = Transport.call

    async def call(self, method, path, *more, **options):
        data, headers = await plain(self, method, path, *more, **options)
        return (data | odd if path.startswith("/batches/") else data), headers

    monkeypatch.setattr(Transport, "call", call)
    monkeypatch.setattr(batch, "FAULTS", 3)
    with FakeOpenAI() as server:
        outcomes, _ = await ask_all(replace(settings, base_url=server.url), TEXTS)
        assert server.stats()["answered_twice"] == 0
    assert all(isinstance(error, errors.RunError) for error in outcomes)
