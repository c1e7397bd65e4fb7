"""Serve a model with vLLM, on the CPU where there is no GPU, and generate its answers with the published command.

Usage   python tests/engine/loop/generate.py --model DIR --mode branching --engine-python PYTHON --work DIR A.parquet …
Writes  WORK/data/<model>_<mode>/<parquet>_1.json, and with --one-at-a-time N the first N problems of the first parquet
        again, without other work on the engine, as WORK/data/<model>_<mode>_alone/
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "src"))

from threadweaver.generation import server

CONTEXT = 1024
"""Tokens of prompt and answer; the longest problems need some 700."""
ENGINE_ARGS = "--enforce-eager --disable-uvicorn-access-log --dtype float32"


def generate(args: argparse.Namespace, url: str, problems: Path, *, suffix: str, workers: int, limit: int = 0) -> None:
    words = ["--model_name", str(args.model), "--base-url", f"{url}/v1", "--data-type", str(problems.resolve())]
    words += ["-n", str(args.samples), f"--{args.mode}", "--temperature", str(args.temperature)]
    words += ["--max-context-length", str(CONTEXT), "--n-workers", str(workers), "--suffix", suffix]
    words += ["--limit", str(limit)] if limit else []
    command = [sys.executable, str(ROOT / "src" / "generate_trajectories.py"), *words]
    subprocess.run(command, cwd=args.work, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--mode", choices=("autoregressive", "branching"), required=True)
    parser.add_argument("--engine-python", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1, help="per problem (1)")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--one-at-a-time", type=int, default=0, metavar="N")
    parser.add_argument("--port", type=int, default=31_978)
    args = parser.parse_args()
    args.model = args.model.resolve()
    (args.work / "data").mkdir(parents=True, exist_ok=True)
    launch = server.Launch(
        "vllm",
        str(args.model),
        args.port,
        args.work / "logs",
        context=CONTEXT,
        python=args.engine_python,
        arguments=ENGINE_ARGS,
        tp=1,
    )
    with server.serving(server.plan(launch, [])) as [running]:
        for problems in args.problems:
            generate(args, running.url, problems, suffix=args.mode, workers=16)
        if args.one_at_a_time:
            alone = {"suffix": f"{args.mode}_alone", "workers": 1, "limit": args.one_at_a_time}
            generate(args, running.url, args.problems[0], **alone)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
