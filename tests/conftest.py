"""What test files share: one profile of hypothesis, the order of files, the tokenizer of the sample, a grader."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile

import pytest
from hypothesis import HealthCheck, settings

from project import ROOT, InProcess

for name in [name for name in os.environ if name.startswith("THREADWEAVER_")]:
    del os.environ[name]  # what tests/run.sh, which sources src/env.sh, would hand to the commands that tests start

if "PYTEST_XDIST_WORKER" not in os.environ:  # those share the one of the process that started them
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="caches-of-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# the machine decides how long an example takes, so no deadline; every run draws the same examples
settings.register_profile(
    "default", deadline=None, derandomize=True, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


LONGEST = (
    "readme",
    "chaos",
    "round_trip",
    "pipeline",
    "llm_pipeline",
    "convert",
    "damage",
    "generate_resume",
    "client_asking",
    "batch",
    "generate_command",
    "ledger_cli",
    "planning",
    "setup",
    "viewer",
    "grading_workers",
)
"""The slowest files, started first: otherwise one worker still runs them when the others are done."""


def pytest_collection_modifyitems(items) -> None:
    names = [f"test_{name}" for name in LONGEST]
    items.sort(key=lambda item: names.index(item.path.stem) if item.path.stem in names else len(names))


@pytest.fixture
def ledger(tmp_path):
    from threadweaver.ledger import Ledger

    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


@pytest.fixture(scope="session")
def tokenizer():
    """The small tokenizer that ships with the sample."""
    from threadweaver.corpus.tokenizer import load_tokenizer

    return load_tokenizer(str(ROOT / "data" / "sample" / "tokenizer"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[InProcess, subprocess.CompletedProcess[str]]:
    """A project in which the sample was run with the rules, with --units, and what was printed. Change a copy of it."""
    project = InProcess(tmp_path_factory.mktemp("finished"), plots=True)
    return project, project.sample_run("--units")


@pytest.fixture(scope="module")
def grader():
    from threadweaver.grading import Grader

    with Grader(workers=2) as shared:
        yield shared
