"""Start, wait for and stop inference servers.

Each server is a child in a process group of its own, its output in a log file that error messages quote. It is ended
on every way out: a guard process that holds the other end of a pipe ends the group even when this process is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError

READY_SECONDS = 1800.0
"""A large model takes many minutes to download and compile; a death is noticed at once all the same."""
POLL_SECONDS = 0.5
STOP_SECONDS = 10.0
"""Between the request to end and the kill."""
LOG_LINES = 6
GPUS_OF_32B = 2

_GUARD = (
    "import os, signal, sys, time\n"
    "sys.stdin.buffer.read()\n"  # ends when the parent does, however it dies, or when it closes the pipe
    "for step in (signal.SIGTERM, signal.SIGKILL):\n"
    "    try: os.killpg(int(sys.argv[1]), step)\n"
    "    except ProcessLookupError: break\n"
    "    time.sleep(float(sys.argv[2]))\n"
)
_MODULES = {"sglang": "sglang.launch_server", "vllm": "vllm.entrypoints.openai.api_server"}


@dataclass(frozen=True, slots=True)
class Launch:
    """What to serve and how. `tp` and `dp` None: one replica per GPU, and per two GPUs for a 32B model."""

    engine: str
    model: str
    port: int
    logs: Path
    tp: int | None = None
    dp: int | None = None
    bfloat16: bool = False
    context: int | None = None
    python: str = sys.executable
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Replica:
    """One server process: its command, what its environment adds to ours, its port and its log."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs of CUDA_VISIBLE_DEVICES, or all that nvidia-smi lists where it is not set."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu.strip() for gpu in named.split(",") if gpu.strip() not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number, line in enumerate(listed.split("\n")) if line.startswith("GPU")][:64]


def plan(launch: Launch, gpus: Sequence[str]) -> list[Replica]:
    """Return the processes that serve `launch` on these GPUs.

    Replicas are servers of their own, so that a trajectory finds its prefix in the cache of the one that it uses; with
    `tp` or `dp` given there is one server, and the engine spreads itself.
    """
    if launch.tp or launch.dp:
        return [_replica(launch, 0, launch.tp or 1, launch.dp or 1, None)]
    size = GPUS_OF_32B if "32b" in launch.model.lower() else 1
    if len(gpus) < size:
        return [_replica(launch, 0, 1, 1, None)]
    groups = [gpus[first : first + size] for first in range(0, len(gpus) - size + 1, size)]
    return [_replica(launch, number, size, 1, ",".join(group)) for number, group in enumerate(groups)]


def _replica(launch: Launch, number: int, tp: int, dp: int, gpus: str | None) -> Replica:
    port = launch.port + number
    where = ["--host", "127.0.0.1", "--port", str(port)]
    if launch.engine == "sglang":
        words = ["--model-path", launch.model, *where]
        spread, context = ("--tp", "--dp"), "--context-length"
    else:
        words = ["--model", launch.model, "--served-model-name", launch.model, *where]
        spread, context = ("--tensor-parallel-size", "--data-parallel-size"), "--max-model-len"
    for flag, count in zip(spread, (tp, dp), strict=True):
        words += [flag, str(count)] if count > 1 else []
    words += ["--dtype", "bfloat16"] if launch.bfloat16 else []
    words += [context, str(launch.context)] if launch.context else []
    command = (launch.python, "-m", _MODULES[launch.engine], *words, *shlex.split(launch.arguments))
    environment = {"CUDA_VISIBLE_DEVICES": gpus} if gpus is not None else {}
    return Replica(command, environment, port, launch.logs / f"server_{port}.log")


def require_engine(launch: Launch) -> None:
    """Raise UserError when the engine's package, or the Python that should have it, is not found."""
    search = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({launch.engine!r}) is None)"
    try:
        found = subprocess.run([launch.python, "-c", search], capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise UserError(
            f"{launch.python} cannot be run ({error.strerror}): name another with --engine-python"
        ) from None
    if not found:
        raise UserError(
            f"{launch.engine} is not installed for {launch.python}: pip install -r requirements-serve.txt "
            "(in an environment of its own, named with --engine-python), or give --base-url of a running server"
        )


class Server:
    """One running server process."""

    def __init__(self, replica: Replica):
        self.replica = replica
        self.url = replica.url
        require_free(replica.port)
        replica.log.parent.mkdir(parents=True, exist_ok=True)
        with open(replica.log, "wb") as log:
            self.process = subprocess.Popen(
                replica.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **replica.environment},
                start_new_session=True,
            )
        self._guard: subprocess.Popen | None = None

    def guard(self) -> None:
        """From now on the server does not outlive this process."""
        self._guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, str(self.process.pid), str(STOP_SECONDS)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def dead(self) -> str | None:
        """Return why the server is dead, with the end of its log; None while it lives."""
        code = self.process.poll()
        if code is None:
            return None
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"it {how}; the end of {self.replica.log}: {log_end(self.replica.log)}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End the whole process group; kill what is left of it after STOP_SECONDS."""
        group = self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()
        self.release()

    def release(self) -> None:
        """Dismiss the guard."""
        if self._guard:
            self._guard.kill()
            self._guard.wait()
            self._guard.stdin.close()
            self._guard = None


@contextlib.contextmanager
def serving(
    replicas: Sequence[Replica],
    *,
    keep: bool = False,
    wait: float = 0.0,
    ready_seconds: float = READY_SECONDS,
    report: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> Iterator[list[Server]]:
    """Yield servers that are ready; end them on the way out unless `keep`. `wait`: seconds before the first look.

    Raises UserError, with the end of its log, when one dies or is not ready in time.
    """
    with _exit_on_signals(), contextlib.ExitStack() as stack:
        servers: list[Server] = []
        for replica in replicas:
            server = Server(replica)
            servers.append(server)
            if not keep:
                stack.callback(server.stop)
                atexit.register(server.stop)
                stack.callback(atexit.unregister, server.stop)
                server.guard()
        report(f"starting {len(servers)} server(s), log in {replicas[0].log}")
        wait_ready(servers, wait=wait, ready_seconds=ready_seconds, report=report)
        yield servers
        if keep:
            groups = ", ".join(str(server.process.pid) for server in servers)
            report(f"left running: {', '.join(server.url for server in servers)} (process groups {groups})")


def wait_ready(servers: Sequence[Server], *, wait: float, ready_seconds: float, report: Callable[[str], None]) -> None:
    begun = time.monotonic()
    reported = begun
    waiting = list(servers)
    while waiting:
        for server in list(waiting):
            if why := server.dead():
                raise UserError(f"the server did not start: {why}")
            if time.monotonic() - begun >= wait and server.ready():
                waiting.remove(server)
        now = time.monotonic()
        if waiting and now - begun > ready_seconds + wait:
            log = waiting[0].replica.log
            raise UserError(f"the server is not ready after {now - begun:.0f} s; the end of {log}: {log_end(log)}")
        if now - reported > 30:
            reported = now
            report(f"waiting for {len(waiting)} server(s), {now - begun:.0f} s")
        if waiting:
            time.sleep(POLL_SECONDS)
    report(f"ready after {time.monotonic() - begun:.0f} s: {', '.join(server.url for server in servers)}")


def log_end(path: Path, lines: int = LOG_LINES) -> str:
    """Return the last lines of a log that are not empty, joined to one line."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return "(no log)"
    written = [line.strip()[-300:] for line in text.split("\n") if line.strip()]
    return " | ".join(written[-lines:]) or "(empty)"


def require_free(port: int) -> None:
    """Raise UserError when the port is in use: what runs there would be taken for the server that is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(
                f"port {port} is in use: name another with --port, or use the server there with --base-url "
                f"http://127.0.0.1:{port}/v1"
            ) from None


@contextlib.contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the process in an orderly way, so that everything is cleaned up."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
