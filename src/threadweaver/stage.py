"""Run a function over samples: concurrency, progress, failures, resume, exit code; the flags all commands share."""

from __future__ import annotations

import argparse
import asyncio
import errno
import inspect
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.store import LOSSES, OUTCOMES, Entry, StageFolder, sample_key

DEFAULT_MAX_FAILED = "0.1"
"""Of the samples of a stage: the published run lost 4 % of 1,000; more than a tenth is no accident."""


NOT_IN_LEDGER = "not_in_ledger"
"""The reason of a sample that `--offline` could not do: running again would not help."""

STATUS_SECONDS = 1.0
"""Between looks at what `around` says of itself, shown behind the bar."""

CAP_REACHED = "cap_reached"
"""The reason of a sample that `--max-cost` left undone: however few these are, the next stage waits for them."""


@dataclass(frozen=True, slots=True)
class Task:
    """One sample to be worked on. `source` is the hash of all that goes in."""

    id: str
    source: str
    payload: object
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a stage says of a sample: an outcome of store.OUTCOMES, a reason code where something was lost."""

    outcome: str
    reason: str | None = None
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)


_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""A connection that breaks is an OSError too, but one sample's."""

Work = Callable[[Task], Result | Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of every sample of a stage, in order; `fresh` counts those done in this run."""

    entries: tuple[Entry, ...]
    fresh: int
    seconds: float

    def count(self, outcome: str) -> int:
        return sum(entry.outcome == outcome for entry in self.entries)

    @property
    def failed(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.outcome == "failed"]


def run(
    tasks: Iterable[Task],
    work: Work,
    folder: StageFolder,
    *,
    total: int,
    title: str,
    workers: int = 1,
    around: AbstractAsyncContextManager | None = None,
    partial: bool = False,
) -> Report:
    """Work on every task that is not done yet and close the folder's account.

    An async `work` has up to `workers` samples under way at once, inside `around` (whose `status()`, if it has one, is
    shown behind the bar); a plain one runs one after the other. UserError and a full disk end the run; whatever else a sample raises is that sample's failure. `partial`
    says that `tasks` are only some of the samples: those that the folder holds beside them stay.
    """
    begun = time.monotonic()
    entries: list[Entry] = []
    fresh = 0
    with progress(total, title) as bar:

        def pending() -> Iterator[Task]:
            for task in tasks:
                if entry := folder.finished(task.id, task.source):
                    entries.append(entry)
                    bar.update()
                else:
                    yield task

        def done(task: Task, result: Result) -> None:
            nonlocal fresh
            fresh += 1
            entry = Entry(task.id, result.outcome, result.reason, task.uuid, task.source, facts=result.facts)
            entries.append(folder.put(entry, result.files))
            bar.update()

        if inspect.iscoroutinefunction(work):
            asyncio.run(_run_async(pending(), work, done, workers, around, bar))
        else:
            for task in pending():
                done(task, _guarded(work, task))
    folder.close_account(entries, partial=partial)
    ordered = sorted(entries, key=lambda entry: sample_key(entry.id))
    return Report(tuple(ordered), fresh, time.monotonic() - begun)


async def _run_async(
    tasks: Iterator[Task],
    work: Work,
    done: Callable[[Task, Result], None],
    workers: int,
    around: AbstractAsyncContextManager | None,
    bar,
) -> None:
    async def worker() -> None:
        for task in tasks:  # one iterator, shared: each takes the next sample
            try:
                result = await work(task)
            except UserError:
                raise
            except Exception as error:
                result = _crash(error)
            done(task, result)

    async def tell_status() -> None:
        while True:
            bar.set_postfix_str(around.status())
            await asyncio.sleep(STATUS_SECONDS)

    try:
        told = hasattr(around, "status") and not bar.disable
        async with around or nullcontext(), _in_background(tell_status(), told), asyncio.TaskGroup() as group:
            for _ in range(max(1, workers)):
                group.create_task(worker())
    except* UserError as stopped:
        raise _first(stopped) from None
    except* OSError as stopped:
        raise _first(stopped) from None


@asynccontextmanager
async def _in_background(work: Coroutine, wanted: bool):
    """Goes on with `work` until the block ends, if that is wanted."""
    task = asyncio.create_task(work) if wanted else None
    try:
        yield
    finally:
        task.cancel() if task else work.close()


def _guarded(work: Work, task: Task) -> Result:
    try:
        return work(task)
    except UserError:
        raise
    except Exception as error:
        return _crash(error)


def _crash(error: Exception) -> Result:
    """A fault of ours: told by name and place, so that it can be mended; the run goes on.

    A full disk and the like would fail every sample after it: such an error ends the run.
    """
    if isinstance(error, OSError) and error.errno in _HOPELESS:
        raise error
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Result("failed", "crash", facts={"error": f"{type(error).__name__}: {error} ({where})"[:300]})


def _first(group: BaseExceptionGroup) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def progress(total: int, title: str):
    """A bar on stderr for what takes longer than two seconds; none when piped."""
    from tqdm import tqdm

    return tqdm(total=total, desc=title, unit=" samples", delay=2, disable=None, leave=False, file=sys.stderr)


# ---------------------------------------------------------------------------------------------------------------
# what a command says


def tell(title: str, report: Report, folder: Path) -> None:
    """One line on stdout: what became of the samples, and where they are."""
    total = len(report.entries)
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in OUTCOMES if report.count(outcome))
    if not report.fresh and total:
        print(f"{title}: nothing to do, all {total} samples are done ({counts}) in {folder}")
        return
    kept = f", {total - report.fresh} of them from before" if total > report.fresh else ""
    print(f"{title}: {total} samples{kept}: {counts or 'none'} · {report.seconds:.1f} s → {folder}")
    reasons = Counter((entry.outcome, entry.reason) for entry in report.entries if entry.outcome in LOSSES)
    for (outcome, reason), count in reasons.most_common():
        ids = [entry.id for entry in report.entries if (entry.outcome, entry.reason) == (outcome, reason)]
        shown = ", ".join(ids[:8]) + (", …" if len(ids) > 8 else "")
        print(f"  {outcome}: {reason} {count} ({shown})")


def tell_no_calls(title: str) -> int:
    """What `--plan` says of a stage that calls no model."""
    print(f"plan of {title}: no model is called")
    return 0


def exit_code(report: Report, max_failed: str) -> int:
    """0, or 1 when more samples failed than allowed, or when the cap left some undone (told in one line on stderr)."""
    failed = report.failed
    if stopped := [entry.id for entry in failed if entry.reason == CAP_REACHED]:
        print(
            f"--max-cost is reached: {len(stopped)} of {len(report.entries)} samples are not done for it "
            f"({', '.join(stopped[:20])}{', …' if len(stopped) > 20 else ''}; {_why(failed, CAP_REACHED)}); what is paid is kept: "
            "give a higher one and run the same command again to do only these",
            file=sys.stderr,
        )
        return 1
    if len(failed) <= allowed_failures(max_failed, len(report.entries)):
        return 0
    way_on = "run again to do only these, or allow more"
    if all(entry.reason == NOT_IN_LEDGER for entry in failed):
        way_on = "leave --offline (OFFLINE) out to call the model, import a ledger that holds them, or allow more"
    examples = "; ".join(f"{entry.id}: {entry.facts.get('error') or entry.reason}" for entry in failed[:3])
    print(
        f"{len(failed)} of {len(report.entries)} samples failed, more than --max-failed {max_failed} allows "
        f"({examples}): {way_on}",
        file=sys.stderr,
    )
    return 1


def _why(failed: Sequence[Entry], reason: str) -> str:
    """The error of the first sample that failed for this reason."""
    error = next(str(entry.facts.get("error") or reason) for entry in failed if entry.reason == reason)
    return error.strip().rstrip(".")


def allowed_failures(max_failed: str, total: int) -> int:
    """A count (`3`) or a fraction (`0.05`, `5%`) of `total`; raises UserError when it is neither."""
    text = str(max_failed).strip()
    percent = text.endswith("%")
    try:
        if text.isdecimal():
            return int(text)
        share = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1 or (share == 1 and not percent):  # 1.0 could be meant either way
        raise UserError(f"--max-failed takes a count or a fraction below 1, not {max_failed!r}")
    return int(share * total + 1e-9)  # 0.29 * 100 is 28.999999999999996


def positive(text: str) -> int:
    """For argparse: a whole number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _failures(text: str) -> str:
    """Refuses nonsense before anything is done, not at the end."""
    try:
        allowed_failures(text, 0)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


# ---------------------------------------------------------------------------------------------------------------
# flags and the edge of a command


_SHARED = {
    "--annotator": {},
    "--tokenizer": {},
    "--workers": {},
    "--openai-model": {},
    "--in-cost-per-million": {},
    "--out-cost-per-million": {},
    "--use-chat-completions": {"action": "store_true"},
    "--base-url": {},
    "--extra-body": {},
    "--ledger": {},
    "--key-path": {},
    "--retry-failed": {"action": "store_true"},
    "--max-cost": {},
    "--offline": {"action": "store_true"},
    "--service-tier": {},
    "--effort": {},
    "--verbosity": {},
    "--prompt": {},
    "--output-limit": {},
    "--timeout": {},
    "--batch": {"action": "store_true"},
    "--batch-deadline": {},
    "--batch-tokens": {},
    "--batch-poll": {},
    "--batch-quiet": {},
    "--units": {"action": "store_true"},
}
"""Flags that run.sh may pass to all commands, with what argparse has to know of them."""


class Flags(argparse.ArgumentParser):
    """A parser that takes every flag with underscores and with hyphens, and no abbreviations."""

    def __init__(self, doc: str):
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def add_argument(self, *names, **options):
        spellings = dict.fromkeys(
            spelling
            for name in names
            for spelling in (
                (name, _respell(name, "_", "-"), _respell(name, "-", "_")) if name[:2] == "--" else (name,)
            )
        )
        return super().add_argument(*spellings, **options)

    def obsolete(self, *names: str, **options) -> None:
        """A flag of the published commands that no longer means anything: taken, and told once."""
        for name in names:
            self.add_argument(name, help=argparse.SUPPRESS, action=_Obsolete, **options)

    def add_common(self, *, max_failed: str = DEFAULT_MAX_FAILED) -> None:
        """The flags of every command. Those that one has no use for it takes in silence, so that run.sh can pass
        the same flags to all."""
        self.add_argument("--overwrite", action="store_true", help="make the output anew")
        self.add_argument(
            "--max-failed",
            default=max_failed,
            metavar="N",
            type=_failures,
            help=f"failed samples allowed, a count or a fraction ({max_failed})",
        )

        self.add_argument(
            "--plan", action="store_true", help="say what the stage would call and cost; nothing is called or written"
        )
        known = set(self._option_string_actions)
        for name, options in _SHARED.items():
            if name not in known:
                self.add_argument(name, help=argparse.SUPPRESS, **options)

    def error(self, message: str):
        print(f"{self.prog}: {message}; --help tells the flags", file=sys.stderr)
        raise SystemExit(2)


class _Obsolete(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        print(f"{option_string} has no effect any more and is passed over", file=sys.stderr)


def _respell(name: str, old: str, new: str) -> str:
    return "--" + name[2:].replace(old, new)


def command(main: Callable[[Sequence[str] | None], int]) -> None:
    """Run a command's `main` and turn its end into an exit code: 0, 1 (samples failed), 2 (the user's to mend), 130.

    SIGTERM, which batch systems and containers send, ends it as Ctrl-C does: calls on the wire are waited for.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        code = main(None)
    except UserError as error:
        print(_one_line(str(error)), file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped: what is done is kept, and the same command goes on from there", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        print(_one_line(describe_os_error(error)), file=sys.stderr)
        code = 2
    raise SystemExit(code)


def describe_os_error(error: OSError) -> str:
    """One line for a full disk, a missing permission and the like."""
    name = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left to write {name}: make room and run the same command again; what is done is kept"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{name} may not be written or read ({error.strerror}): change its permissions or name another --output"
    return f"{error.strerror or error} ({name})"


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))
