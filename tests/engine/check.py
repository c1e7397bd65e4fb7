"""Generation against a real SGLang on the CPU: both modes, conversion, and the stop-string cases.

Usage   python tests/engine/check.py --engine-python PYTHON --model DIR --work DIR [--port N]
Exits   0 if every check holds, else 1 with those that did not
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from steer import BLOCKS, THREAD, Steer

from threadweaver.corpus.tokenizer import Tokenizer, load_tokenizer
from threadweaver.generation import forkjoin, server
from threadweaver.generation.problems import read_problems
from threadweaver.trajectory import markup

ENGINE_ARGS = (
    "--device cpu --mem-fraction-static 0.3 --max-total-tokens 20000 --disable-overlap-schedule --enable-cache-report"
)
CONTEXT = 1200
LIMIT = 12
failures: list[str] = []


def check(holds: bool, what: str) -> None:
    print(f"  {'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        failures.append(what)


def command(work: Path, name: str, *words: str) -> subprocess.CompletedProcess:
    """Run a command of the project in `work` and show its output."""
    print(f"$ {name} {' '.join(words)}", flush=True)
    done = subprocess.run(
        [sys.executable, str(ROOT / "src" / name), *words], cwd=work, capture_output=True, text=True, timeout=900
    )
    print("  " + (done.stdout + done.stderr).strip().replace("\n", "\n  "), flush=True)
    return done


def complete(url: str, **body) -> dict:
    body = {
        "model": "x",
        "max_tokens": 40,
        "temperature": 0,
        "return_token_ids": True,
        "skip_special_tokens": False,
    } | body
    request = urllib.request.Request(
        f"{url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.loads(reply.read())["choices"][0]


def stop_strings(url: str, tokenizer: Tokenizer) -> None:
    print("stop strings", flush=True)
    prompt = tokenizer.ids("one two three")
    for tag in (markup.OUTLINES_END, markup.THREAD_END):
        [id] = tokenizer.ids(tag)
        steer = {"prompt": prompt, "stop": [tag], "regex": f"[a-z ]{{3,9}}{tag}abcdefghijkl"}
        whole = complete(url, **steer, no_stop_trim=True, logit_bias={str(id): 100})
        check(whole["matched_stop"] == tag and whole["token_ids"][-1] == id, f"{tag} as one token stops, and is kept")
        trimmed = complete(url, **steer, logit_bias={str(id): 100})
        check(
            not trimmed["text"].endswith(tag) and trimmed["token_ids"][-1] == id,
            f"{tag} is cut off the text alone without no_stop_trim",
        )
        other = complete(url, **steer, include_stop_str_in_output=True, logit_bias={str(id): 100})
        check(not other["text"].endswith(tag), "vLLM's include_stop_str_in_output is ignored in silence")
        pieces = complete(url, **steer, no_stop_trim=True, logit_bias={str(id): -100})
        check(pieces["matched_stop"] != tag and tag in pieces["text"], f"{tag} in pieces goes past the engine")
        ids, closed, late = forkjoin.cut_after(pieces["token_ids"], tag, tokenizer)
        check(closed and late and ids[-1] == id, f"{tag} in pieces is found in the text, and becomes its token")


def sequential(work: Path, args) -> None:
    """Run the published command: the engine is started, used and stopped."""
    done = command(
        work,
        "generate_trajectories.py",
        "--model_name",
        args.model,
        "--launch_server",
        "--data-type",
        "problems",
        "-n",
        "1",
        "--autoregressive",
        "--limit",
        "6",
        "--max-context-length",
        str(CONTEXT),
        "--temperature",
        "0",
        "--port",
        str(args.port),
        "--engine-python",
        args.engine_python,
        "--engine-args",
        ENGINE_ARGS,
        "--suffix",
        "seq",
    )
    check(done.returncode == 0, "the published command ends well")
    texts = json.loads((out(work, args, "seq") / "problems_1.json").read_text())
    check(len(texts) == 6 and all(isinstance(text, str) and text for [text] in texts), "six chains")
    with socket.socket() as probe:
        check(probe.connect_ex(("127.0.0.1", args.port)) != 0, "the server is gone")


def out(work: Path, args, suffix: str) -> Path:
    return work / "data" / f"{Path(args.model).name}_{suffix}"


def branching(work: Path, args, url: str, tokenizer: Tokenizer, *, whole: bool, workers: int):
    """Return the texts of a fork-join run, and how many of them are correct."""
    suffix = f"{'whole' if whole else 'pieces'}_{workers}"
    with Steer(url, tokenizer, answers(), whole=whole) as proxy:
        done = command(
            work,
            "generate_trajectories.py",
            "--model_name",
            args.model,
            "--base-url",
            proxy.url,
            "--data-type",
            "problems",
            "-n",
            "1",
            "--branching",
            "--limit",
            str(LIMIT),
            "--max-context-length",
            str(CONTEXT),
            "--temperature",
            "0",
            "--n-workers",
            str(workers),
            "--suffix",
            suffix,
        )
    check(done.returncode == 0, f"--branching ends well ({suffix})")
    texts = [text for [text] in json.loads((out(work, args, suffix) / "problems_1.json").read_text())]
    lines = (out(work, args, suffix) / "problems_1.facts.jsonl").read_text().split("\n")[:-1]
    facts = {row["message_idx"]: row for row in map(json.loads, lines)}.values()
    check(all(blocks(text) == BLOCKS for text in texts), "every trajectory is well-formed and has its two blocks")
    right = sum(row["verdict"] == "correct" for row in facts)
    check(len(answers()) <= right < LIMIT, f"{right} are graded correct, {len(answers())} were made to be")
    check({row["reason"] for row in facts} == {"finished"}, "every trajectory is finished")
    check(
        all(row["critical_path"] < row["tokens"] and row["exact"] for row in facts),
        "token ids are the engine's; threads save tokens",
    )
    late = sum(row["late_stops"] for row in facts)
    check((late == 0) if whole else (late > 0), f"{late} stops were found in the text")
    contexts(proxy, tokenizer, whole=whole)
    return texts, right


def answers() -> dict[str, str]:
    """Return the reference answers, if they are plain, of every other problem."""
    problems = read_problems(ROOT / "data" / "sample" / "problems.parquet")[:LIMIT:2]
    return {one.text: one.reference for one in problems if str(one.reference).isalnum()}


def blocks(text: str) -> int:
    """Return the number of blocks of a well-formed trajectory; 0 for any other text."""
    try:
        return len(markup.parse(text).blocks)
    except markup.MarkupError:
        return 0


def contexts(proxy: Steer, tokenizer: Tokenizer, *, whole: bool) -> None:
    """Check that every context begins with an earlier one and the token ids returned for it."""
    threads = [exchange for exchange in proxy.exchanges if proxy.regex(exchange[0]) == THREAD]
    if whole:
        known = {tuple(prompt + ids) for prompt, ids, _, _ in proxy.exchanges}
        opening = len(tokenizer.ids("\n<Thread>\n1:"))
        check(
            all(tuple(prompt[:-opening]) in known for prompt, *_ in threads),
            "threads continue the very ids that came back",
        )
    cached = sum(cached for _, _, cached, _ in threads)
    sent = sum(len(prompt) for prompt, *_ in threads)
    check(cached > 0.5 * sent, f"{cached} of {sent} context tokens of the threads came from the prefix cache")


def convert(work: Path, args, right: int) -> None:
    done = command(
        work,
        "generated_data_to_training_data_polaris.py",
        "--dataset-json",
        str(out(work, args, "whole_8") / "problems_1.json"),
        "--polaris-parquet",
        "data/problems.parquet",
        "--output-dir",
        "data/processed",
        "--qwen-model",
        args.model,
        "--tokenizer",
        args.model,
        "--require-parallel",
    )
    rows = work / "data" / "processed" / "problems_1_json" / "train.jsonl"
    kept = len(rows.read_text().split("\n")) - 1 if rows.is_file() else 0
    check(done.returncode == 0 and kept == right, f"convert keeps the {kept} right ones")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine-python", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--port", type=int, default=31_977)
    args = parser.parse_args()
    shutil.rmtree(args.work, ignore_errors=True)
    (args.work / "data").mkdir(parents=True)
    shutil.copy(ROOT / "data" / "sample" / "problems.parquet", args.work / "data")
    begun = time.monotonic()
    tokenizer = load_tokenizer(args.model)
    sequential(args.work, args)
    launch = server.Launch(
        "sglang",
        args.model,
        args.port,
        args.work,
        context=CONTEXT,
        python=args.engine_python,
        arguments=ENGINE_ARGS,
        tp=1,
    )
    with server.serving(server.plan(launch, [])) as [running]:
        url = f"{running.url}/v1"
        stop_strings(url, tokenizer)
        one, _ = branching(args.work, args, url, tokenizer, whole=True, workers=1)
        eight, right = branching(args.work, args, url, tokenizer, whole=True, workers=8)
        same = sum(left == right for left, right in zip(one, eight, strict=True))
        check(same == len(one), f"one at a time or eight: {same} of {len(one)} texts are the same")
        branching(args.work, args, url, tokenizer, whole=False, workers=8)
        convert(args.work, args, right)
    print(f"{len(failures)} failed checks, {time.monotonic() - begun:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
