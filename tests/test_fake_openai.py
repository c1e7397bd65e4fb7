"""The local model server: what the tests of the client depend on must itself be right."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import fake_faults
from fake_limits import duration
from fake_openai import FakeOpenAI, echo

CHAT = {"model": "m", "messages": [{"role": "user", "content": "one 2"}], "max_completion_tokens": 1000}
RESPONSES = {"model": "m", "input": [{"role": "user", "content": "one 2"}], "max_output_tokens": 1000}


def post(url: str, path: str, body: object, key: str = "none") -> tuple[int, dict, dict]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, json.loads(reply.read()), dict(reply.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), dict(error.headers)


def text_of(reply: dict) -> str:
    if "output" in reply:
        return reply["output"][-1]["content"][0].get("text", "")
    return reply["choices"][0].get("text") or reply["choices"][0]["message"]["content"]


def test_three_apis_give_the_answer_of_the_same_function():
    with FakeOpenAI() as server:
        replies = [
            post(server.url, path, body)[1]
            for path, body in (
                ("/chat/completions", CHAT),
                ("/responses", RESPONSES),
                ("/completions", {"model": "m", "prompt": "one 2"}),
            )
        ]
    assert {text_of(reply) for reply in replies} == {echo(CHAT["messages"], {})}
    assert replies[1]["usage"]["input_tokens_details"] == {"cached_tokens": 0}
    assert replies[2]["usage"]["prompt_tokens_details"] is None


@pytest.mark.parametrize(
    ("mode", "seen"),
    [
        (
            "truncated",
            lambda reply: (
                reply["status"] == "incomplete" and reply["incomplete_details"]["reason"] == "max_output_tokens"
            ),
        ),
        ("empty", lambda reply: text_of(reply) == ""),
        ("refused", lambda reply: reply["output"][-1]["content"][0]["type"] == "refusal"),
        ("raw_latex", lambda reply: text_of(reply) == '{"a": "\\frac"}'),
        ("code_fence", lambda reply: text_of(reply) == '```json\n{"a": "\\\\frac"}\n```'),
        ("extra_prose", lambda reply: text_of(reply).startswith("Sure") and '{"a": "\\\\frac"}' in text_of(reply)),
    ],
)
def test_faults_of_replies(mode, seen):
    with FakeOpenAI(answer=lambda messages, params: '{"a": "\\\\frac"}', scripts=[mode]) as server:
        status, reply, _ = post(server.url, "/responses", RESPONSES)
        assert status == 200 and seen(reply)
        assert server.stats()["faults"] == {mode: 1}
        # The model's faults are billed like any reply.
        assert server.stats()["answered"] == 1


def test_a_missing_number_is_missing():
    made = fake_faults.shape("1: A\n2: B", "missing_number", None, len)
    assert made.text == ": A\n2: B"


@pytest.mark.parametrize(("mode", "status"), [("429", 429), ("429_bare", 429), ("500", 500), ("503", 503)])
def test_faults_of_transport_bill_nothing(mode, status):
    with FakeOpenAI(scripts=[mode], retry_after=0.5) as server:
        seen, _, headers = post(server.url, "/responses", RESPONSES)
        assert seen == status
        assert ("retry-after-ms" in headers) is (mode == "429")
        assert server.stats()["answered"] == 0


def test_reset_and_not_json():
    with FakeOpenAI(scripts=["reset", "not_json"]) as server:
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            post(server.url, "/responses", RESPONSES)
        with pytest.raises(ValueError):
            post(server.url, "/responses", RESPONSES)


def test_faults_are_drawn_from_seed_request_and_try():
    def modes(seed: int) -> list[str | None]:
        server = FakeOpenAI(fault_rate=0.5, seed=seed)
        return [server.draw(f"request {i}") for i in range(20)] + [server.draw("request 0") for _ in range(5)]

    assert modes(1) == modes(1)
    assert modes(1) != modes(2)
    assert 5 < sum(mode is not None for mode in modes(1)) < 20


def test_enforced_limit_with_headers():
    with FakeOpenAI(requests_per_second=5, burst=2) as server:
        replies = [post(server.url, "/responses", RESPONSES) for _ in range(4)]
        assert [status for status, _, _ in replies][:2] == [200, 200]
        refused = next(headers for status, _, headers in replies if status == 429)
        assert refused["x-ratelimit-limit-requests"] == "2"
        assert 0 < float(refused["retry-after-ms"]) <= 201
        assert server.stats()["refused"] == sum(status == 429 for status, _, _ in replies) > 0


def test_keys_quota_and_context():
    with FakeOpenAI(keys=("good",), quota=1, context_tokens=10) as server:
        status, body, _ = post(server.url, "/responses", RESPONSES, key="secret-key")
        assert status == 401 and "secret-key" in body["error"]["message"]
        assert (
            post(server.url, "/responses", {**RESPONSES, "input": "x" * 400}, key="good")[1]["error"]["code"]
            == "context_length_exceeded"
        )
        assert post(server.url, "/responses", RESPONSES, key="good")[0] == 200
        assert post(server.url, "/responses", RESPONSES, key="good")[1]["error"]["code"] == "insufficient_quota"
        assert post(server.url, "/responses", b"{", key="good")[0] == 400


def test_a_request_answered_twice_is_seen_and_the_tier_does_not_hide_it():
    with FakeOpenAI() as server:
        post(server.url, "/responses", RESPONSES)
        post(server.url, "/responses", {**RESPONSES, "service_tier": "flex"})
        post(server.url, "/responses", {**RESPONSES, "input": "another"})
        stats = server.stats()
    assert (stats["answered"], stats["distinct_answered"], stats["answered_twice"]) == (3, 2, 1)


def test_prefix_cache_counts_shared_beginnings():
    head = "h" * 8192
    with FakeOpenAI() as server:
        cached = [
            post(server.url, "/responses", {**RESPONSES, "input": text})[1]["usage"]["input_tokens_details"][
                "cached_tokens"
            ]
            for text in (head + "a", head + "b", "short")
        ]
    assert cached == [0, 2048, 0]


@pytest.mark.parametrize(("seconds", "text"), [(0.02, "20ms"), (1, "1s"), (1.5, "1.5s"), (360, "6m0s")])
def test_durations_are_written_as_openai_does(seconds, text):
    assert duration(seconds) == text


def test_a_hanging_call_does_not_keep_the_server_from_stopping():
    async def give_up(url: str) -> None:
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps(RESPONSES).encode()
        writer.write(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()

    with FakeOpenAI(scripts=["hang"]) as server:
        asyncio.run(give_up(server.url))
    assert not server._thread.is_alive()


def test_runs_by_hand():
    script = Path(__file__).with_name("fake_openai.py")
    with subprocess.Popen([sys.executable, str(script), "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        assert post(url, "/chat/completions", CHAT)[0] == 200
        process.terminate()


BATCH_LINE = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": RESPONSES}


def upload(url: str, lines: list[dict]) -> str:
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x\r\nContent-Disposition: form-data; '
        b'name="file"; filename="f.jsonl"\r\n\r\n' + content + b"\r\n--x--\r\n"
    )
    request = urllib.request.Request(f"{url}/files", body, {"Content-Type": "multipart/form-data; boundary=x"})
    with urllib.request.urlopen(request) as reply:
        return json.loads(reply.read())["id"]


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as reply:
        return reply.read()


@pytest.mark.parametrize(
    ("desk", "status", "good"),
    [({}, "completed", 4), ({"expire": [0]}, "expired", 2), ({"half_fail": [0]}, "completed", 2)],
)
def test_batches_complete_expire_and_fail_in_part(desk, status, good):
    lines = [{**BATCH_LINE, "custom_id": str(i), "body": {**RESPONSES, "input": f"n {i}"}} for i in range(4)]
    with FakeOpenAI(batch=desk) as server:
        made = post(server.url, "/batches", {"input_file_id": upload(server.url, lines), "endpoint": "/v1/responses"})[
            1
        ]
        batch = json.loads(get(f"{server.url}/batches/{made['id']}"))
        assert batch["status"] == status
        rows = [json.loads(line) for line in get(f"{server.url}/files/{batch['output_file_id']}/content").splitlines()]
        assert len(rows) == good and all(row["response"]["status_code"] == 200 for row in rows)
        assert (batch["error_file_id"] is None) is (good == 4)
        assert server.stats()["answered"] == good


def test_batch_validation():
    with FakeOpenAI(batch={"enqueued_tokens": 10}) as server:
        made = post(
            server.url, "/batches", {"input_file_id": upload(server.url, [BATCH_LINE]), "endpoint": "/v1/responses"}
        )[1]
        assert (made["status"], made["errors"]["data"][0]["code"]) == ("failed", "token_limit_exceeded")
