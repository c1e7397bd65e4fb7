"""Generate: sample chains, or with --branching parallel trajectories, from a served model.

Reads   data/<data-type>.parquet (columns prompt and reward_model.ground_truth)
Writes  data/<model>_<suffix>/<data-type>_<n>[_split<i>_of_<k>].jsonl (journal), and .json when no sample is missing
Calls   SGLang or vLLM, started here (--launch_server) or running (--base-url, repeatable)
Exits   0; 1 samples are missing; 2 something to fix, reported in one line
Example python src/generate_trajectories.py --model_name Qwen/Qwen3-8B --launch_server --data-type
        polaris-data-53K -n 1 --autoregressive
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import re
import sys
from pathlib import Path

from threadweaver.client.credentials import find_base_url
from threadweaver.corpus import chat, thinking
from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer, short_name
from threadweaver.errors import UserError
from threadweaver.generation import forkjoin, server
from threadweaver.generation.engine import Endpoint, Pool, Sampling
from threadweaver.generation.journal import Journal
from threadweaver.generation.problems import find_data, fingerprint, read_problems, split_of, system_prompt
from threadweaver.generation.sampler import WORKERS, Job, Sampler, Task
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags

DATA = Path("data")
MAX_SAMPLES = 100_000
SERVE_PYTHON = Path(__file__).parents[1] / ".venv-serve" / "bin" / "python"
"""The engine's own environment, if it exists: sglang pins another version of openai than the rest needs."""


def flags() -> Flags:
    parser = Flags(__doc__)
    add = parser.add_argument
    add("--model_name", required=True, help="model to serve or ask: a name on the hub or a folder")
    add("--data-type", required=True, help="problems: a name under data/, a parquet, or a folder with val.parquet")
    add("-n", "--n_samples", type=int, default=1, help="samples per problem (1)")
    add("--suffix", default="", help="suffix of the output folder's name, after the model's name")
    parser.add_shared("--tokenizer", help="tokenizer, a name on the hub or a local folder (the model's own)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--autoregressive", action="store_true", help="one chain per request (the default)")
    mode.add_argument("--branching", action="store_true", help="fork-join: the threads of a block in parallel")
    add("--no-conclusion", action="store_true", help="with --branching: close each block after its threads")
    add("--template-type", choices=("model",), default="model", help="prompts in the model's own chat template")
    add("--skip-system-prompt-check", action="store_true", help="accept a chat template that adds a system prompt")
    add("--temperature", type=float, default=0.6)
    add("--top-p", type=float, default=0.95)
    parser.add_shared("--seed", help="seed of the run, from which each sample's seed is derived (%(default)s)")
    add("--max-context-length", type=int, default=40_960, help="tokens of prompt and answer together (40960)")
    add(
        "--no-stop-at-eos",
        action="store_true",
        help="continue decoding after the end of the turn, up to the full context",
    )
    add("--strip-comma-from-answer", action="store_true", help="grade 1,000 as 1000")
    add("--limit", type=int, help="only the first N problems; the rest can be generated later")
    add("--total-splits", type=int, default=1, help="divide the problems into this many splits")
    add("--current-split", type=int, default=0, help="the split to generate, from 0")
    add("--n-workers", type=int, default=WORKERS, help=f"samples under way at once ({WORKERS})")
    add("--timeout", type=float, default=7200.0, help="seconds per request (7200)")
    parser.add_shared("--overwrite")
    add("--verbose", type=int, nargs="?", const=1, default=0, metavar="1", help="print a line per sample")
    add("--debug", action="store_true", help="show each prompt and its result")
    _add_server_flags(parser)
    return parser


def _add_server_flags(parser: Flags) -> None:
    add = parser.add_argument
    add("--launch_server", action="store_true", help="start the engine, and stop it when this command ends")
    add(
        "--base-url",
        action="append",
        default=[],
        metavar="URL",
        help="a running server, such as http://127.0.0.1:30000/v1; repeatable",
    )
    add("--engine", choices=("sglang", "vllm"), default="sglang")
    add("--engine-python", help="Python of the engine's environment (.venv-serve, else this one)")
    add("--engine-args", default="", help="further arguments of the engine, as one string")
    add("--port", type=int, default=30_000, help="port of the server; replicas take the next ones (30000)")
    add("--tp", type=int, help="GPUs per replica (without --tp and --dp: one replica per GPU, two GPUs for 32B)")
    add("--dp", type=int, help="replicas inside one server")
    add("--bfloat16", action="store_true", help="serve in bfloat16")
    add(
        "--wait-before-health-check", type=float, default=0.0, metavar="S", help="seconds before the first health check"
    )
    add("--no-terminate-on-exit", action="store_true", help="leave the server running")
    add(
        "--skip-actual-launch",
        action="store_true",
        help="with --launch_server: use the server that already runs on --port",
    )
    add("--skip-model-check", action="store_true", help="accept any model that the server serves")
    parser.add_obsolete("--use-os-system", nargs=0)


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    check(args)
    path, name = find_data(args.data_type, DATA)
    first_row, problems = split_of(read_problems(path), args.total_splits, args.current_split)
    tokenizer = load_tokenizer(args.tokenizer or args.model_name)
    if args.branching:
        forkjoin.require_tags(tokenizer)
    check_template(tokenizer, args)
    settings = settings_of(args, tokenizer, problems)
    with Journal(stem_of(args, name), settings, overwrite=args.overwrite) as journal:
        asked = problems[: args.limit]
        missing = journal.missing(len(asked), args.n_samples)
        if journal.dropped:
            log(f"{journal.dropped} line(s) of {journal.path} could not be read: their samples are generated again")
        job = Job(
            tokenizer,
            args.seed,
            first_row,
            forkjoin.Limits(args.max_context_length),
            args.branching,
            args.no_conclusion,
            args.n_workers,
        )
        sampler = Sampler(job, journal, answer_of(args), report=reporter(args))
        if missing:
            tasks = [Task(m, s, asked[m]) for m, s in missing]
            with serve(args, path_of_logs(args)) as endpoints:
                asyncio.run(generate(args, sampler, tasks, endpoints))
        sampler.grade_missing(asked, args.n_samples)
        return finish(args, journal, sampler, asked)


async def generate(args, sampler: Sampler, tasks: list[Task], endpoints: list[Endpoint]) -> None:
    sampling = Sampling(args.temperature, args.top_p, args.no_stop_at_eos)
    each = forkjoin.Limits().threads if args.branching else 1
    pool = Pool(endpoints, sampler.job.tokenizer, sampling, timeout=args.timeout, connections=args.n_workers * each)
    async with pool:
        await pool.meet(args.model_name, args.max_context_length, check_model=not args.skip_model_check)
        await sampler.run(tasks, pool)


@contextlib.contextmanager
def serve(args, logs: Path):
    """Yield the servers to use: those already running, and those started here, which stop at the end of the block."""
    endpoints = [Endpoint(url) for url in args.base_url]
    own = f"http://127.0.0.1:{args.port}/v1"
    if not args.launch_server or args.skip_actual_launch:
        yield endpoints or [Endpoint(own)]
        return
    python = args.engine_python or (str(SERVE_PYTHON) if SERVE_PYTHON.is_file() else sys.executable)
    launch = server.Launch(
        args.engine,
        args.model_name,
        args.port,
        logs,
        args.tp,
        args.dp,
        args.bfloat16,
        args.max_context_length,
        python,
        args.engine_args,
    )
    server.require_engine(launch)
    replicas = server.plan(launch, server.visible_gpus())
    with server.serving(replicas, keep=args.no_terminate_on_exit, wait=args.wait_before_health_check) as servers:
        yield endpoints + [Endpoint(f"{one.url}/v1", one.dead) for one in servers]


# ---------------------------------------------------------------------------------------------------------------
# settings


def check(args: argparse.Namespace) -> None:
    """Raise UserError for impossible values."""
    if args.n_samples and args.n_samples > MAX_SAMPLES:
        raise UserError(f"--n_samples {args.n_samples}: at most {MAX_SAMPLES:,} samples per problem")
    for name in ("n_samples", "n_workers", "timeout", "max_context_length", "total_splits", "limit", "tp", "dp"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise UserError(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if not (math.isfinite(args.temperature) and args.temperature >= 0):
        raise UserError(f"--temperature must be a number of at least 0, not {args.temperature}")
    if not 0 < args.top_p <= 1:
        raise UserError(f"--top-p must lie above 0 and be 1 at most, not {args.top_p}")
    for url in args.base_url:
        find_base_url(url)
    if args.no_conclusion and not args.branching:
        log("--no-conclusion has no effect without --branching")


def check_template(tokenizer: Tokenizer, args: argparse.Namespace) -> None:
    added = system_prompt(tokenizer)
    if added and not args.skip_system_prompt_check:
        shown = " ".join(added.split())[:80]
        raise UserError(
            f"the chat template of {tokenizer.name} puts a system prompt before the question ({shown}), which training "
            "rows would not have: use it anyway with --skip-system-prompt-check, or name another --tokenizer"
        )


def folder_of(args: argparse.Namespace) -> Path:
    model = Path(args.model_name.rstrip("/")).name
    return DATA / (f"{model}_{args.suffix}" if args.suffix else model)


def path_of_logs(args: argparse.Namespace) -> Path:
    return folder_of(args) / "logs"


def stem_of(args: argparse.Namespace, name: str) -> Path:
    split = f"_split{args.current_split}_of_{args.total_splits}" if args.total_splits > 1 else ""
    return folder_of(args) / f"{name}_{args.n_samples}{split}"


def settings_of(args: argparse.Namespace, tokenizer: Tokenizer, problems: list) -> dict:
    """Return all that determines the samples: not servers, speed and --limit."""
    folder = Path(args.model_name).expanduser()  # the full path: checkpoints of two trainings often have the same name
    return {
        "model": str(folder.resolve()) if folder.is_dir() else args.model_name,
        "tokenizer": short_name(tokenizer.name),
        "mode": "branching" if args.branching else "autoregressive",
        "no_conclusion": args.no_conclusion,
        "template_type": args.template_type,
        "instruction": chat.INSTRUCTION,
        "temperature": args.temperature,
        "top_p": args.top_p,
        "seed": args.seed,
        "max_context_length": args.max_context_length,
        "stop_at_eos": not args.no_stop_at_eos,
        "n_samples": args.n_samples,
        "total_splits": args.total_splits,
        "current_split": args.current_split,
        "problems": len(problems),
        "problems_sha256": fingerprint(problems),
    }


def answer_of(args: argparse.Namespace):
    """Return the function that finds the final answer in a result, as it is graded."""

    def cut(result: str) -> str | None:
        from threadweaver.grading import final_answer

        answer = final_answer(thinking.answer_part(result))
        if answer and args.strip_comma_from_answer:
            answer = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", answer)
        return answer

    return cut


# ---------------------------------------------------------------------------------------------------------------
# output


def log(line: str) -> None:
    print(line, file=sys.stderr)


def reporter(args: argparse.Namespace):
    def report(task: Task, prompt: str, rollout: forkjoin.Rollout, verdict: str) -> None:
        if args.verbose or args.debug:
            speed = rollout.decoded / rollout.seconds if rollout.seconds else 0.0
            log(
                f"{task.message_idx}/{task.sample_idx}: {rollout.reason}, {len(rollout.ids)} tokens (critical path "
                f"{rollout.critical_path}), {rollout.blocks} blocks, {rollout.seconds:.1f} s, {speed:.0f} tokens/s, "
                f"{verdict}"
            )
        if args.debug:
            log(f"--- prompt\n{prompt}\n--- result\n{rollout.text}\n---")

    return report


def finish(args: argparse.Namespace, journal: Journal, sampler: Sampler, asked: list) -> int:
    """Write the json when nothing is missing, and print a summary."""
    missing = journal.missing(len(asked), args.n_samples)
    total = len(asked) * args.n_samples
    for line in sampler.summary(len(asked), args.n_samples):
        print(line)
    if missing:
        shown = "; ".join(f"{m}/{s}: {sampler.failed.get((m, s), 'not generated')}" for m, s in missing[:5])
        log(
            f"{len(missing)} of {total} samples are missing ({shown}{'; …' if len(missing) > 5 else ''}): run the "
            f"same command again to generate only these; {journal.final.name} is written when none is missing"
        )
        return 1
    rows = journal.write_final(len(asked), args.n_samples)
    print(f"generate: {total} samples of {len(asked)} problems → {journal.final} ({rows} rows)")
    return 0


if __name__ == "__main__":
    run_command(main)
