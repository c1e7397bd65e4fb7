"""Commands over some of the samples: one file, a part, a dry run."""

from __future__ import annotations

from pathlib import Path

import pytest

from project import InProcess
from threadweaver.runs.folder import read_account

SETTINGS = {"stage": "test"}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> InProcess:
    """A project with the first six chains of the sample collected."""
    project = InProcess(tmp_path_factory.mktemp("project"))
    collected = project.python(
        "src/collect_trajectories.py",
        "--dataset_path",
        "data/sample/chains.jsonl",
        "--output_path",
        "data/in",
        "--max_samples",
        "6",
    )
    assert collected.returncode == 0, collected.stderr
    return project


def test_two_halves_of_step_1_are_one_whole(place):
    def annotate(output: str, *flags: str) -> None:
        done = place.python("src/gpt.py", "--annotator", "rules", "--input", "data/in", "--output", output, *flags)
        assert done.returncode == 0, done.stderr

    annotate("data/halves", "--end_idx", "3")
    annotate("data/halves", "--start_idx", "3")
    annotate("data/whole")
    halves, whole = place.files("data/halves"), place.files("data/whole")
    assert len(read_account(place.root / "data/halves")) == 6
    assert {Path(name).name: content for name, content in halves.items()} == {
        Path(name).name: content for name, content in whole.items()
    }


def test_one_annotation_is_not_used_for_several_chains(place):
    annotation = place.root / "one_reasoning.txt"
    annotation.write_text("<parallel>\n<thread>\n</thread> (L1-L2)\n<thread>\n</thread> (L3-L4)\n</parallel>\n")
    both = place.python("src/extract_v1.py", "-t", "data/in", "-a", str(annotation), "-o", "data/marked")
    assert both.returncode == 2 and "is one annotation" in both.stderr and both.stderr.count("\n") == 1
    one = place.python(
        "src/extract_v1.py",
        "-t",
        "data/in/0.txt",
        "-a",
        str(annotation),
        "-o",
        "data/marked",
        "--filter-diff-threshold",
        "0",
    )
    assert one.returncode == 0, one.stderr


def test_a_dry_run_makes_no_folder_that_blocks_the_real_one(place):
    annotation = place.root / "one_reasoning.txt"
    annotation.write_text("S1: a step (L1-L2)\n")
    dry = place.python("src/extract_v1.py", "-t", "data/in/0.txt", "-a", str(annotation), "-o", "data/dry", "--dry_run")
    assert dry.returncode == 0 and dry.stdout == "0: no block\n"
    assert not (place.root / "data/dry").exists()


@pytest.mark.parametrize(
    "command", ["rewrite-context_v1.py", "generate-outline_v1.py", "filter-format-correct-and-obtain-stats.py"]
)
def test_a_folder_without_samples_is_exit_2(place, command):
    (place.root / "data/empty").mkdir(exist_ok=True)
    result = place.python(f"src/{command}", "--input", "data/empty", "--output", "data/none")
    assert result.returncode == 2 and "holds no samples" in result.stderr and result.stderr.count("\n") == 1
    assert not (place.root / "data/none").exists()
