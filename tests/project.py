"""A copy of the project to run commands in, so that no test writes into the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("src", "prompt", "requirements.txt", *sorted(path.name for path in ROOT.glob("*.sh")))


class Project:
    """The project's code under `root`, with the sample and an empty data folder."""

    def __init__(self, root: Path):
        self.root = root
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, root / part)
        shutil.copytree(ROOT / "data" / "sample", root / "data" / "sample")

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, with this Python and without the caller's keys."""
        return subprocess.run(
            command, cwd=self.root, env=self.environment(**environment), capture_output=True, text=True, timeout=120
        )

    def environment(self, **extra: str) -> dict[str, str]:
        left_out = (
            "OPENAI_",
            "THREADWEAVER_",
            "PYTHONDONTWRITEBYTECODE",
        )  # the last: each start would compile all imports
        clean = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
        return {**clean, "PYTHON": sys.executable, "HF_HUB_OFFLINE": "1", "HOME": str(self.root), **extra}

    def python(self, script: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, script, *flags, **environment)

    def sample_run(self, *flags: str, count: int = 24, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"SRC_NAME": "sample", "ANNOTATOR": "rules", "NUM_SAMPLES": str(count), **environment}
        return self.run("bash", "run.sh", *flags, **settings)

    def annotate(self, *flags: str, count: int, last: int = 4, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the sample up to the step `last`: measuring and saving take most of the time of a small run."""
        settings = {"SRC_NAME": "sample", "ANNOTATOR": "llm", "NUM_SAMPLES": str(count), **environment}
        collect = (
            f"$PYTHON src/collect_trajectories.py --dataset_path data/sample/chains.jsonl --max_samples {count} "
            f"--output_path data/sample_{count}samples"
        )
        asking = (1, 3, 4)  # the flags are those of a model
        steps = [f"./step{number}.sh" + (' "$@"' if number in asking else "") for number in range(1, last + 1)]
        return self.run("bash", "-ec", "\n".join([collect, *steps]), "bash", *flags, **settings)

    def files(self, *folders: str) -> dict[str, bytes]:
        """Return the content of every file below these folders."""
        paths = (path for folder in folders for path in (self.root / folder).rglob("*"))
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in paths
            if path.is_file() and path.name != ".lock"
        }
