"""The viewer's server under hostile requests and data: it refuses them in plain words and keeps answering."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from browser.fixture import Run
from threadweaver.errors import UserError
from threadweaver.viewer import guards, runs
from viewing import Server

SECRET = "outside-the-root"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return Run(tmp_path_factory.mktemp("run")).write()


@pytest.fixture(scope="module")
def server(root):
    with Server(root) as served:
        yield served


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/....//app.py",
        "/static/app.py",
        "/api/sample/..%2f..%2fsecret",
        "/api/sample/../../secret",
        "/api/sample/%2e%2e%2fsecret",
        "/api/sample/..%5csecret",
        "/api/sample/secret%00",
        "/api/sample/%ff%fe",
        "/api/sample/0%0d%0aSet-Cookie:a=b",
        "/api/sample/" + "9" * 5000,
        "/api/sample/-1",
        "/api/sample/0/chat/..%2f..%2fsecret",
        "/api/sample/0/chat/filter",
        "/api/neighbours/..%2fsecret?sort=nothing",
        "/api/list?sort=__class__",
        "/api/list?total_num_tokens=1",
        "/api/list?total_num_tokens=nan..inf",
        "/api/list?offset=" + "9" * 400,
        "/api/list?offset=x",
        "/api/list?q=" + "a" * 9000,
        "/nothing",
        "//evil.example/",
        "/api/sample",
        "/.git/config",
        "/%00",
        "/api/export?sort=x",
    ],
)
def test_hostile_addresses_get_a_plain_refusal(server, root, path):
    (root.parent / "secret.txt").write_text(SECRET)
    status, headers, body = server.ask(path)
    assert 400 <= status < 500, (path, status)
    assert SECRET.encode() not in body and b"Traceback" not in body and b"root:" not in body
    assert headers["content-security-policy"] == guards.POLICY
    assert server.ask("/")[0] == 200, "the server answers on"


@pytest.mark.parametrize(
    "query",
    ['q="', "q=NEAR(a+b", "q=*", "q=text:", "q=a+AND", "q=%ff%00%22*", "q=(((", "q=-", "outcome=nothing", "limit=-5"],
)
def test_odd_queries_are_answered(server, query):
    assert server.ask(f"/api/list?{query}")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8899", "127.0.0.1.evil.example", "", "localhost.", "192.168.0.7", "[::2]"]
)
def test_a_foreign_host_is_refused(server, host):
    status, _, body = server.ask("/api/list", headers={"Host": host})
    assert status == 403 and b"rows" not in body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:8899", "LOCALHOST"])
def test_our_own_names_are_accepted(server, host):
    assert server.ask("/", headers={"Host": host})[0] == 200


def test_an_exposed_server_answers_to_addresses_and_its_name_only():
    guard = guards.Guard(None, "0.0.0.0")
    assert guard.is_ours("10.1.2.3:8899") and guard.is_ours(socket.gethostname()) and not guard.is_ours("evil.example")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"origin": "http://evil.example"}, "{}", 403),
        ({"content-type": "text/plain"}, "{}", 415),
        ({"content-type": "application/x-www-form-urlencoded"}, "verdict=accept", 415),
        ({}, "{", 400),
        ({}, "[]", 400),
        ({}, '{"verdict": "delete"}', 400),
        ({}, '{"verdict": 1}', 400),
        ({}, "\x00", 400),
        ({}, "9" * 300_000, 413),
        ({}, json.dumps({"note": "n" * 20_000}), 400),
        ({}, "[" * 100_000, 400),
    ],
)
def test_writes_that_do_not_come_from_the_page_are_refused(server, root, headers, body, status):
    assert server.ask("/api/review/0", "PUT", body, headers)[0] == status
    assert not (root / "review.jsonl").exists()


def test_nothing_else_can_be_written(server):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert server.ask("/api/sample/0", method, "{}")[0] == 405
    assert server.ask("/api/review/nobody", "PUT", '{"verdict": "accept"}')[0] == 404


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.txt").write_text("a text\n")
    (tmp_path / "a" / "1.txt").symlink_to(tmp_path / "secret.txt")
    with Server(tmp_path / "a") as served:
        assert [row["id"] for row in served.json("/api/list")["rows"]] == ["0"]
        assert served.ask("/api/sample/1")[0] == 404


def test_a_uuid_from_the_data_cannot_leave_its_folder(tmp_path):
    folder = Run(tmp_path).write()
    (tmp_path / "x_reasoning.txt").write_text(SECRET)
    trace = folder / "trace" / "0.json"
    trace.write_text(trace.read_text().replace("fixture-0", "../x"))
    with Server(folder) as served:
        assert SECRET not in json.dumps(served.json("/api/sample/0/stages"))


def test_two_hundred_requests_at_once_are_answered(server):
    paths = [
        "/api/list?q=prime",
        "/api/sample/0",
        "/api/list?answer=right",
        "/static/app.js",
        "/api/sample/0/stages",
        "/nothing",
    ] * 34
    with ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(lambda path: server.ask(path)[0], paths[:200]))
    assert set(statuses) == {200, 404} and statuses.count(404) == paths[:200].count("/nothing")


def test_bytes_that_are_not_text_do_not_hide_a_sample(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.txt").write_bytes(b"\xff\xfe broken \x00 text\n")
    (tmp_path / "a" / "1.txt").write_bytes(b"")
    with Server(tmp_path / "a") as served:
        assert served.json("/api/list")["count"] == 2
        assert "broken" in served.json("/api/sample/0")["text"]


LINKED = {
    "folders": ("rejected", "trace", "chat"),
    "files": ("0.txt", "trace/0.json", "trace/1.json", "collected.jsonl", "account.jsonl"),
}


@pytest.mark.parametrize("names", LINKED.values(), ids=LINKED)
def test_no_view_and_no_export_shows_what_a_link_out_of_a_stage_leads_to(tmp_path, names):
    """Of the stages before it too: tar keeps links."""
    last = Run(tmp_path / "run").write()
    for folder in [item for item in last.parent.iterdir() if item.is_dir()]:
        for name in names:
            link_out(folder / name, tmp_path / "private" / folder.name / name)
    with Server(last) as served:
        rows = served.json("/api/list?limit=200")["rows"]
        pages = [served.ask("/api/run")[2], served.ask("/api/export")[2], json.dumps(rows).encode()]
        for row in rows[:3]:
            ways = ["", "/stages", "/chat/steps"]
            pages += [served.ask(f"/api/sample/{row['id']}{way}")[2] for way in ways]
    assert rows and not [page for page in pages if SECRET.encode() in page]


def link_out(path: Path, secret: Path) -> None:
    """Move a file or folder away, mark it as secret, and leave a link to it."""
    if not path.exists():
        return
    secret.parent.mkdir(parents=True, exist_ok=True)
    path.rename(secret)
    for file in [secret] if secret.is_file() else secret.iterdir():
        file.write_bytes(file.read_bytes().replace(b"the", SECRET.encode()).replace(b"ok", SECRET.encode()))
    path.symlink_to(secret)


def test_a_dataset_with_a_link_out_of_its_folder_is_refused(tmp_path):
    (tmp_path / "private.jsonl").write_text('{"problem": "p", "thinking": "t"}\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.jsonl").symlink_to(tmp_path / "private.jsonl")
    with pytest.raises(UserError, match="is a link to a file outside the folder"):
        runs.find(tmp_path / "data")
    cache = tmp_path / "datasets--x" / "snapshots" / "1"
    cache.mkdir(parents=True)
    (cache.parent.parent / "blob").write_text('{"problem": "p", "thinking": "t"}\n')
    (cache / "rows.jsonl").symlink_to(cache.parent.parent / "blob")
    assert runs.find(cache).kind == runs.DATASET


def test_a_name_that_is_not_text_hides_no_sample(tmp_path):
    (tmp_path / "0.txt").write_text("one")
    (tmp_path / b"\xff\x1b.txt".decode("utf-8", "surrogateescape")).write_text("two")
    with Server(tmp_path) as served:
        rows = served.json("/api/list")["rows"]
        assert [row["id"] for row in rows] == ["0", "\\xff\x1b"]
        assert served.json("/api/sample/%5Cxff%1b")["text"] == "two"
        assert served.ask("/api/export")[0] == 200
