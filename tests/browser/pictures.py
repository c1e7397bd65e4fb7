"""Makes the pictures of the README: the sample chains through the pipeline by rules, then the page as a reader sees it.

tests/browser/run.sh pictures [OUT]     (tests/pictures)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from browser.chromium import Command, opened

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample"
SIZE = {"width": 1400, "height": 880}
SETTLED = 1500
"""Milliseconds until the formulas near the window are drawn."""


def run(command: str, *arguments: object) -> None:
    line = [sys.executable, str(ROOT / "src" / command), *map(str, arguments)]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


def pipeline(parent: Path) -> Path:
    """The sample's chains through every stage, by rules; the last folder (without a tokenizer, that of stage 4)."""
    base = parent / "sample_24samples"
    steps, parallel, rewritten, outlined, filtered = (
        Path(f"{base}{suffix}")
        for suffix in ("_step1_v1", "_step2_v1", "_step3_v1_v1", "_step4_v1_v1_v1", "_step5_v1_v1_v1")
    )
    rules = ("--annotator", "rules")
    run("collect_trajectories.py", "--dataset_path", SAMPLE / "chains.jsonl", "--output_path", base, "--keep-wrong")
    run("gpt.py", *rules, "--input", base, "--output", steps)
    run("extract_v1.py", "-t", base, "-a", steps, "-o", parallel)
    run("rewrite-context_v1.py", *rules, "--input", parallel, "--output", rewritten)
    run("generate-outline_v1.py", *rules, "--input", rewritten, "--output", outlined)
    tokenizer = SAMPLE / "tokenizer"
    if not tokenizer.is_dir():
        return outlined
    command = "filter-format-correct-and-obtain-stats.py"
    run(command, "--tokenizer", tokenizer, "--skip_conclusion_check", "--input", outlined, "--output", filtered)
    return filtered


def take(root: Path, out: Path, profile: Path) -> None:
    known = ("--tokenizer", str(SAMPLE / "tokenizer")) if (SAMPLE / "tokenizer").is_dir() else ()
    with Command(root, *known) as served, opened(profile, viewport=SIZE) as context:
        rows = served.json("/api/list?sort=acceleration_ratio&dir=desc&parallel_count=2..")["rows"]
        best = (rows or served.json("/api/list?sort=acceleration_ratio&dir=desc")["rows"])[0]["id"]
        page = context.pages[0]
        views = {
            "viewer-list": ("light", "/#/?sort=acceleration_ratio&dir=desc"),
            "viewer-trajectory": ("light", f"/#/sample/{best}/block/1"),
            "viewer-stages": ("dark", f"/#/sample/{best}/stages"),
        }
        for name, (scheme, address) in views.items():
            page.emulate_media(color_scheme=scheme)
            page.goto("about:blank")
            page.goto(served.base + address)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(SETTLED)
            page.screenshot(path=out / f"{name}.png")
            print(out / f"{name}.png")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        take(pipeline(Path(scratch)), out, Path(scratch) / "profile")


if __name__ == "__main__":
    main()
