"""The reward for a `verl-rl` export: 1.0 if the last box of the answer equals the reference, else 0.0.

Give it to verl as `reward.custom_reward_function.path=…/verl_reward.py` (`name=compute_score`). Needs math-verify, whose
time limits work by signals, in a process's main thread alone; verl calls rewards in other threads. So the algebra runs
in a process of its own (this file as a script), which is ended when an answer takes longer than SECONDS.
"""

from __future__ import annotations

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
        if _judge is None or _judge.poll() is not None:
            if _judge is not None:
                _judge.communicate()  # closes its pipes
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
            _judge = subprocess.Popen([sys.executable, __file__], **pipes)
            _judge.stdout.readline()  # math-verify is imported: not part of the time for an answer
        limit = threading.Timer(SECONDS, _judge.kill)
        limit.start()
        try:
            print(json.dumps(question), file=_judge.stdin, flush=True)
            return float(_judge.stdout.readline() or 0.0)
        except BrokenPipeError:
            return 0.0
        finally:
            limit.cancel()


def _serve() -> None:
    from math_verify import parse, verify

    print("ready", flush=True)
    for line in sys.stdin:
        reference, answer = json.loads(line)
        # an unwrapped reference is parsed as prose, and a third of all answers would not equal themselves
        print(float(verify(parse("\\boxed{" + reference + "}"), parse(answer))), flush=True)


if __name__ == "__main__":
    _serve()
