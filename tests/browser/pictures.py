"""Makes the pictures of the README: the recorded replies through the pipeline, then the page as a reader sees it.

tests/browser/run.sh pictures [OUT]     (tests/pictures)
"""

from __future__ import annotations

import os
import shutil
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


def pipeline(scratch: Path) -> Path:
    """Run the pipeline on the recorded replies, in a copy of the project; return the folder of stage 5."""
    for name in ("src", "prompt", "data/sample"):
        shutil.copytree(ROOT / name, scratch / name)
    for script in (*ROOT.glob("*.sh"), ROOT / "requirements.txt"):
        shutil.copy(script, scratch)
    settings = {"SRC_NAME": "sample", "OFFLINE": "1", "NUM_SAMPLES": "12", "PYTHON": sys.executable}
    subprocess.run(["./run.sh"], cwd=scratch, env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)
    return scratch / "data" / "sample_12samples_step5_v1_v1_v1"


def take(root: Path, out: Path, profile: Path) -> None:
    with Command(root, "--tokenizer", str(SAMPLE / "tokenizer")) as served, opened(profile, viewport=SIZE) as context:
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
