"""A run in shards and in one piece, and what both must have in common."""

from __future__ import annotations

import shutil
import subprocess

from project import Project

STEPS = ("", "_step1_v1", "_step2_v1", "_step3_v1_v1", "_step4_v1_v1_v1", "_step5_v1_v1_v1")


def folders(count: int, suffix: str = "") -> list[str]:
    return [f"data/sample_{count}samples{step}{suffix}" for step in STEPS]


def made(project: Project, count: int) -> dict[str, bytes]:
    """Return every file of a run's folders, its dataset and its report."""
    files = project.files(*folders(count), "dataset")
    for end in ("html", "json"):
        name = f"data/sample_{count}samples_report.{end}"
        files[name] = (project.root / name).read_bytes()
    return files


def remove(project: Project, count: int) -> None:
    """Remove what a run in one piece, or a merge, has made."""
    for folder in (*folders(count), "dataset"):
        shutil.rmtree(project.root / folder, ignore_errors=True)


def run_shards(project: Project, shards: int, count: int, *flags: str, **settings: str) -> None:
    for number in range(shards):
        done = project.sample_run(*flags, count=count, SHARD=f"{number}/{shards}", **settings)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def merge(project: Project, shards: int, count: int, *flags: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return project.sample_run(*flags, count=count, MERGE=str(shards), **settings)
