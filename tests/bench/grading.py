"""Measure how accurate and how fast the grader is.

    python tests/bench/grading.py --pairs FILE     precision, recall, F1 by source, disagreements, speed
    python tests/bench/grading.py --bombs          100 bombs among 1,000 answers: must end within 60 s

FILE is JSON lines with `gold`, `pred`, `label` (true if they are the same answer) and `source`.
`--half SEED 1` and `--half SEED 2` take a random half and the other half: rules are written while looking at one
and reported on both. The bombs are answers made to hang a grader; none may be graded correct.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver.grading import Verdict, grade_many

BUDGET_S = 60.0

BOMBS = [
    "9**9**9**9",
    "9^{9^{9^9}}",
    "2^{2^{2^{2^{2^2}}}}",
    "10000000!",
    "(10000!)!",
    "((5!)!)!",
    "99999999!!",
    "1e999999999",
    "1e-999999999",
    "10^{1000000000}",
    "10^{-1000000000}",
    "x" * 1_000_000,
    "(" * 20_000,
    "(" * 10_000 + "1" + ")" * 10_000,
    "{" * 20_000,
    "[" * 20_000 + "]" * 20_000,
    r"\frac" * 5_000,
    r"\frac{1}{" * 3_000 + "1" + "}" * 3_000,
    r"\sqrt{" * 3_000 + "2" + "}" * 3_000,
    "1," * 500_000,
    "1+" * 100_000 + "1",
    "9" * 100_000,
    "9" * 5_000,
    "2^{9999999}",
    "3^{99999}",
    r"\binom{1000000000}{500000000}",
    r"\binom{100000}{50000}",
    r"\sum_{k=1}^{10^{12}} k",
    r"\sum_{k=1}^{1000000000} \frac{1}{k^2}",
    r"\prod_{k=1}^{100000} k",
    r"\sum_{i=1}^{9999}\sum_{j=1}^{9999}\frac{1}{i+j}",
    r"\int_0^1 \int_0^1 \int_0^1 \int_0^1 \frac{dx dy dz dw}{1+xyzw}",
    r"\int_0^{\infty} \frac{\sin(x^3)\cos(x^5)}{x^2+e^x} dx",
    r"\int \sqrt{\tan(x^2)\ln(1+x^3)} dx",
    r"(x+1)^{5000}",
    r"(a+b+c+d+e+f+g+h)^{60}",
    r"((x+1)^{50}+(y+2)^{50})^{50}",
    r"\prod_{n=1}^{50}(x^n+y^n+1)",
    "!" * 1_000,
    "5" + "!" * 300,
    "^" * 1_000,
    "_" * 1_000,
    "x^" * 900 + "x",
    "x_" * 900 + "x",
    r"\left" * 2_000,
    "$" * 100_000,
    r"\text{" * 1_000 + "a" + "}" * 1_000,
    r"\pm" * 500 + "1",
    r"\pm 1" * 300,
    ",".join(rf"\sqrt{{{n}}}+\pi" for n in range(120)),
    "\\" * 50_000,
    r"\begin{pmatrix}" * 500,
    r"\begin{pmatrix}" + r"1 & 2 \\ " * 200 + r"\end{pmatrix}",
    "1" + " 000" * 400,
    "0." + "3" * 50_000,
    "=" * 1_900,
    "x=" * 900 + "1",
    "<" * 1_900,
    r"\cup" * 400,
    "(0,1)" + r"\cup(0,1)" * 200,
    "|" * 1_900,
    "|x" * 800,
    "-" * 1_900,
    "--" * 400 + "5",
    "1/" * 900 + "3",
    r"\lim_{x\to0}\lim_{y\to0}\lim_{z\to0}\frac{\sin(xyz)}{xyz}",
    r"\lim_{n\to\infty}(1+\frac{1}{n})^{n^{n^n}}",
    r"\det" * 400,
    r"\log" * 400 + "2",
    r"\sin(" * 50 + "x" + ")" * 50,
    r"\exp(\exp(\exp(\exp(\exp(9)))))",
    "e^{e^{e^{e^{9}}}}",
    r"\zeta(99999999999)",
    r"\Gamma(10^9)",
    "7^{7^7}",
    r"\frac{10^{99999}+1}{3^{88888}}",
    "12345678901234567890123456789^{4999}",
    "1e400*1e400",
    "1e399^{399}",
    "__import__('os').system('sleep 99')",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda: (yield)",
    "x" + "\ud800" * 10,
    "\x00" * 1_000,
    "\u202e" * 500 + "5",
    "٣" * 400,
    "𝟗" * 300,
    "²" * 600,
    "½" * 600,
    "√" * 900,
    r"\sqrt[10000019]{2}+\sqrt[10000079]{3}",
    r"\sqrt[3]{" * 30 + "2+x" + "}" * 30,
    r"\cos(10^{99999})",
    r"\sin(10^{9999}x)-\cos(3^{9999}y)",
    "1.0" + "0" * 900 + "1e300",
    r"\overline{" * 200 + "1" + "}" * 200,
    r"\frac{x^{100}-1}{x-1}\cdot\frac{y^{100}-1}{y-1}\cdot\frac{z^{100}-1}{z-1}",
    r"x^{99999}-y^{99999}",
    r"\sqrt{1+\sqrt{2+\sqrt{3+\sqrt{4+\sqrt{5+\sqrt{6+\sqrt{7+x}}}}}}}",
    r"\sum_{n=0}^{\infty}\frac{(-1)^n x^{n^2}}{(n!)^n}",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="labelled pairs, JSON lines")
    parser.add_argument("--half", nargs=2, type=int, metavar=("SEED", "PART"), help="only half of the pairs")
    parser.add_argument("--bombs", action="store_true", help="grade 100 bombs among 1,000 answers")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one per core)")
    args = parser.parse_args()
    if not args.pairs and not args.bombs:
        parser.error("say --pairs FILE or --bombs")
    ok = True
    if args.pairs:
        report_pairs(load(args.pairs, args.half), args.workers)
    if args.bombs:
        ok = report_bombs(args.workers)
    return 0 if ok else 1


def load(path: Path, half: list[int] | None) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    if half is None:
        return rows
    order = list(range(len(rows)))
    random.Random(half[0]).shuffle(order)
    middle = len(order) // 2
    return [rows[i] for i in sorted(order[:middle] if half[1] == 1 else order[middle:])]


def report_pairs(rows: list[dict], workers: int | None) -> None:
    start = time.perf_counter()
    verdicts = grade_many([(row["pred"], row["gold"]) for row in rows], workers)
    seconds = time.perf_counter() - start
    by_source: dict[str, list[tuple[bool, Verdict]]] = defaultdict(list)
    for row, verdict in zip(rows, verdicts, strict=True):
        by_source[row["source"].split(":")[0].split(" ")[0]].append((row["label"], verdict))
    print(f"{'source':<34}{'pairs':>6}{'prec.':>8}{'recall':>8}{'F1':>8}{'undec.':>8}{'rl F1':>8}")
    for source, judged in [*sorted(by_source.items()), ("all", list(chain(*by_source.values())))]:
        figures = [*scores((label, v.correct) for label, v in judged)]
        undecided = sum(v.verdict == "undecided" for _, v in judged)
        rl = scores((label, v.rl is True) for label, v in judged)[2]
        print(
            f"{source[:33]:<34}{len(judged):>6}" + "".join(f"{x:>8.3f}" for x in figures) + f"{undecided:>8}{rl:>8.3f}"
        )
    rate = f"{len(rows)} answers in {seconds:.1f} s: {len(rows) / seconds:.0f} a second"
    print(f"\n{rate}, the start of the workers included")
    steps = Counter(verdict.how for verdict in verdicts).most_common()
    print("settled by: " + ", ".join(f"{how} {count}" for how, count in steps))
    print("\ndisagreements with the labels:")
    for row, verdict in zip(rows, verdicts, strict=True):
        if verdict.correct != row["label"]:
            label = "equal" if row["label"] else "different"
            said = f"{verdict.verdict} ({verdict.how})"
            print(f"  {label:<10}{row['gold']!r}  answered {row['pred']!r}: {said}  [{row['source']}]")


def scores(judged) -> tuple[float, float, float]:
    """Return precision, recall and F1 of (label, prediction) pairs."""
    counts = Counter(judged)
    hits, false, missed = counts[True, True], counts[False, True], counts[True, False]
    precision = hits / (hits + false) if hits + false else 1.0
    recall = hits / (hits + missed) if hits + missed else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def report_bombs(workers: int | None) -> bool:
    """Grade 100 bombs among 900 plain answers against a plain reference; a bomb may be wrong or undecided, never
    correct."""
    bombs = [(bomb, "5") for bomb in BOMBS[:100]]
    plain = [(str(n), str(n if n % 3 else n + 1)) for n in range(450)]
    plain += [(rf"{n}\sqrt{{2}}", rf"\frac{{{2 * n + (n % 2)}}}{{\sqrt{{2}}}}") for n in range(1, 451)]
    answers = bombs + plain
    order = list(range(len(answers)))
    random.Random(0).shuffle(order)
    start = time.perf_counter()
    shuffled = grade_many([answers[i] for i in order], workers)
    seconds = time.perf_counter() - start
    verdicts = [verdict for _, verdict in sorted(zip(order, shuffled, strict=True), key=lambda pair: pair[0])]
    passed = [i for i in range(len(bombs)) if verdicts[i].correct and bombs[i] not in HARMLESS]
    expected = [n % 3 != 0 for n in range(450)] + [n % 2 == 0 for n in range(1, 451)]
    amiss = [
        i for i, right in enumerate(expected, len(bombs)) if verdicts[i].verdict != ("correct" if right else "wrong")
    ]
    print(f"{len(answers)} answers, {len(bombs)} of them bombs: {seconds:.1f} s (at most {BUDGET_S:.0f})")
    print(
        "bombs: " + ", ".join(f"{how} {n}" for how, n in Counter(v.how for v in verdicts[: len(bombs)]).most_common())
    )
    print(f"bombs called correct: {[bombs[i][0][:60] for i in passed]}")
    print(f"plain answers misjudged: {[(answers[i], verdicts[i]) for i in amiss[:10]]}")
    return seconds <= BUDGET_S and not passed and not amiss


# A long-winded spelling of the reference itself: an even number of signs before 5.
HARMLESS = {("--" * 400 + "5", "5")}


if __name__ == "__main__":
    sys.exit(main())
