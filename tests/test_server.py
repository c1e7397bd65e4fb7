"""Inference servers as child processes: a ready or dead server is noticed at once, and none outlives the command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from children import alive, free_port
from threadweaver.errors import UserError
from threadweaver.generation import server

SRC = Path(__file__).parents[1] / "src"

STAND_IN = textwrap.dedent(
    """
    import glob, http.server, os, signal, subprocess, sys, time
    port, how = int(sys.argv[1]), sys.argv[2]
    child = subprocess.Popen(["sleep", "300"])  # engines have children of their own
    print("pids", os.getpid(), child.pid, flush=True)
    if how == "dies":  # when all are up: one that is ended before would not have said which process it is
        while not all(open(log).read().startswith("pids") for log in glob.glob(os.path.dirname(__file__) + "/*.log")):
            time.sleep(0.05)
        print("loading weights\\nCUDA error: no kernel image", flush=True)
        sys.exit(3)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready = time.time() + (600 if how == "slow" else 0.3)
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if time.time() > ready else 503)
            self.end_headers()
        def log_message(self, *words): pass
    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
    """
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(server, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(server, "POLL_SECONDS", 0.05)


def replica(tmp_path: Path, how: str = "well", port: int | None = None) -> server.Replica:
    program, port = tmp_path / "engine.py", port or free_port()
    program.write_text(STAND_IN)
    return server.Replica((sys.executable, str(program), str(port), how), {}, port, tmp_path / f"server_{port}.log")


def pids(log: Path) -> list[int]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if log.is_file() and (line := log.read_text().partition("\n")[0]).startswith("pids"):
            return [int(pid) for pid in line.split()[1:]]
        time.sleep(0.05)
    raise AssertionError("the stand-in did not start")


def gone(log: Path, seconds: float = 120.0) -> bool:
    """Whether server and grandchild end within these seconds."""
    deadline, processes = time.monotonic() + seconds, pids(log)
    while time.monotonic() < deadline:
        if not any(map(alive, processes)):
            return True
        time.sleep(0.05)
    return False


def silent(line: str) -> None:
    pass


# ---------------------------------------------------------------------------------------------------------------
# ready, dead, ended


def test_a_server_is_ready_inside_the_block_and_gone_after_it(tmp_path):
    one, two = replica(tmp_path), replica(tmp_path)
    with server.serving([one, two], report=silent) as servers:
        assert [item.ready() for item in servers] == [True, True]
        assert [item.dead() for item in servers] == [None, None]
    assert gone(one.log) and gone(two.log), "its children have to go with it"


@pytest.mark.parametrize("error", [RuntimeError("fault of ours"), KeyboardInterrupt()])
def test_an_exception_ends_the_server(tmp_path, error):
    one = replica(tmp_path)
    with pytest.raises(type(error)), server.serving([one], report=silent):
        raise error
    assert gone(one.log)


def test_a_server_that_ignores_the_request_is_killed(tmp_path):
    one = replica(tmp_path, "stubborn")
    with server.serving([one], report=silent):
        begun = time.monotonic()
    assert gone(one.log) and time.monotonic() - begun < 60


def test_a_server_that_dies_at_the_start_is_noticed_and_its_log_quoted(tmp_path):
    one, other = replica(tmp_path, "dies"), replica(tmp_path)
    begun = time.monotonic()
    quoted = r"exit code 3.*loading weights \| CUDA error: no kernel image"
    with pytest.raises(UserError, match=quoted), server.serving([other, one], report=silent):
        pytest.fail("it was never ready")
    assert time.monotonic() - begun < 60
    assert gone(other.log), "the other replica has to go too"


def test_a_server_that_is_never_ready_is_given_up(tmp_path):
    one = replica(tmp_path, "slow")
    with pytest.raises(UserError, match="not ready after"), server.serving([one], ready_seconds=0.5, report=silent):
        pytest.fail("it was never ready")
    assert gone(one.log)


def test_a_server_that_dies_later_is_reported(tmp_path):
    with server.serving([replica(tmp_path)], report=silent) as [running]:
        os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait(5)
        assert "was ended by signal 9" in running.dead()


def test_waiting_before_the_first_health_check(tmp_path):
    begun = time.monotonic()
    with server.serving([replica(tmp_path)], wait=1.0, report=silent):
        assert time.monotonic() - begun >= 1.0


def test_a_server_can_be_left_running(tmp_path):
    one, lines = replica(tmp_path), []
    with server.serving([one], keep=True, report=lines.append) as [running]:
        pass
    try:
        assert running.ready()
        assert str(running.process.pid) in lines[-1]
    finally:
        os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait(5)


PARENT = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from threadweaver.generation import server
    server.STOP_SECONDS = 0.5
    log = Path(sys.argv[4])
    one = server.Replica((sys.executable, sys.argv[2], sys.argv[3], "well"), {}, int(sys.argv[3]), log)
    with server.serving([one]):
        print("ready", flush=True)
        time.sleep(300)
    """
)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_the_command_ends_the_server(tmp_path, how):
    one = replica(tmp_path)
    arguments = [str(SRC), one.command[1], str(one.port), str(one.log)]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout.readline() == "ready\n"
        parent.send_signal(how)
        assert parent.wait(10) != 0
    assert gone(one.log)


def test_a_port_in_use_is_refused(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use"):
            server.Server(replica(tmp_path, port=port))


# ---------------------------------------------------------------------------------------------------------------
# what is started


def launch(**options) -> server.Launch:
    return server.Launch(
        **({"engine": "sglang", "model": "Qwen/Qwen3-8B", "port": 30000, "logs": Path("logs")} | options)
    )


@pytest.mark.parametrize(
    ("options", "gpus", "replicas"),
    [
        ({}, [], [(30000, None, ())]),
        ({}, ["0"], [(30000, "0", ())]),
        ({}, ["3", "5", "7"], [(30000, "3", ()), (30001, "5", ()), (30002, "7", ())]),
        (
            {"model": "Qwen/Qwen3-32B"},
            ["0", "1", "2", "3", "4"],
            [(30000, "0,1", ("--tp", "2")), (30001, "2,3", ("--tp", "2"))],
        ),
        ({"model": "x/32b"}, ["0"], [(30000, None, ())]),
        ({"tp": 4}, ["0", "1", "2", "3"], [(30000, None, ("--tp", "4"))]),
        ({"dp": 2, "tp": 2}, ["0"], [(30000, None, ("--tp", "2", "--dp", "2"))]),
        ({"dp": 1}, ["0", "1"], [(30000, None, ())]),
    ],
)
def test_replicas_and_gpus(options, gpus, replicas):
    planned = server.plan(launch(**options), gpus)
    assert [(one.port, one.environment.get("CUDA_VISIBLE_DEVICES"), one.command[9:]) for one in planned] == replicas


def test_the_commands_of_both_engines():
    options = {
        "bfloat16": True,
        "context": 4096,
        "tp": 2,
        "dp": 3,
        "arguments": "--device cpu --name 'a b'",
        "python": "py",
    }
    [sglang] = server.plan(launch(**options), [])
    assert " ".join(sglang.command) == (
        "py -m sglang.launch_server --model-path Qwen/Qwen3-8B --host 127.0.0.1 --port 30000 --tp 2 --dp 3 "
        "--dtype bfloat16 --context-length 4096 --device cpu --name a b"
    )
    [vllm] = server.plan(launch(engine="vllm", **options), [])
    assert " ".join(vllm.command) == (
        "py -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-8B --served-model-name Qwen/Qwen3-8B "
        "--host 127.0.0.1 --port 30000 --tensor-parallel-size 2 --data-parallel-size 3 --dtype bfloat16 "
        "--max-model-len 4096 --device cpu --name a b"
    )


@pytest.mark.parametrize(
    ("value", "gpus"), [("0,1", ["0", "1"]), (" 2 , 3", ["2", "3"]), ("", []), ("-1", []), ("GPU-ab", ["GPU-ab"])]
)
def test_visible_gpus(value, gpus):
    assert server.visible_gpus({"CUDA_VISIBLE_DEVICES": value}) == gpus


def test_a_missing_engine_is_one_line_that_says_what_to_install():
    with pytest.raises(UserError, match=r"sglang is not installed .*pip install -r requirements-serve\.txt"):
        server.require_engine(launch())
    with pytest.raises(UserError, match="--engine-python"):
        server.require_engine(launch(python="/nowhere/python"))
    server.require_engine(launch(engine="json"))  # any package that is there


def test_the_end_of_a_log(tmp_path):
    log = tmp_path / "server.log"
    assert server.log_end(log) == "(no log)"
    log.write_bytes(b"first\n" * 9000 + b"\n  second \xff\n\nthird\n")
    assert server.log_end(log, 3) == "first | second � | third"
