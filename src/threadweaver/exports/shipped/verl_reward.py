"""The reward for a `verl-rl` export: 1.0 if the last box of the answer equals the reference, else 0.0.

Give it to verl as `reward.custom_reward_function.path=…/verl_reward.py` (`name=compute_score`). Needs math-verify, whose
time limits work by signals, in a process's main thread alone; verl calls rewards in other threads. So the algebra runs
in a process of its own (this file as a script), which is ended when an answer takes longer than SECONDS.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading

SECONDS = 10.0
_turn = threading.Lock()
_judge: subprocess.Popen | None = None


def compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float:
    return _ask([str(ground_truth), solution_str.rpartition("</think>")[2]])


def _ask(question: list[str]) -> float:
    global _judge
    with _turn:
        judge = _judge = _judge or _start()
        limit = threading.Timer(SECONDS, judge.kill)
        limit.start()
        try:
            print(json.dumps(question), file=judge.stdin, flush=True)
            line = judge.stdout.readline()
        except BrokenPipeError:
            line = ""
        limit.cancel()
        if not line:  # it was ended
            _judge = None
            stop(judge)
        return float(line or 0.0)


def _start() -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    judge = subprocess.Popen([sys.executable, __file__], **pipes)
    judge.stdout.readline()  # math-verify is imported: not part of the time for an answer
    return judge


def stop(judge: subprocess.Popen) -> None:
    judge.kill()
    judge.wait()
    for pipe in (judge.stdin, judge.stdout):
        with contextlib.suppress(OSError):  # what was written after its end
            pipe.close()


def _serve() -> None:
    from math_verify import parse, verify

    print("ready", flush=True)
    for line in sys.stdin:
        reference, answer = json.loads(line)
        # an unwrapped reference is parsed as prose, and a third of all answers would not equal themselves
        print(float(verify(parse("\\boxed{" + reference + "}"), parse(answer))), flush=True)


if __name__ == "__main__":
    _serve()
