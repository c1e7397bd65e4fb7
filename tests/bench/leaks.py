"""Measure how well the dependency detector separates dependent pairs of passages from independent ones.

Reads:   a collected.jsonl (`uuid`, `problem`, `thinking` of each line); tests/bench/leaks/{dev,test}.jsonl, pairs of
         passages judged by hand (uuid, line ranges from 1, verdict, kinds); tests/bench/leaks/templates_{dev,heldout}.json,
         sentences that are planted into the pairs judged independent
Writes:  nothing
Calls:   threadweaver.independence, one process
Exits:   1 if a set of judged pairs is below --at-least (recall) or above --at-most (false alarms)
Example: python tests/bench/leaks.py path/to/collected.jsonl --show

In a planted pair, the `define` of a template is inserted between two paragraphs of the first passage and its `use`
in the second, with a symbol {s}, a number {n} and an expression {e} that the text does not contain. A pair that is
already flagged shows nothing about a plant: such pairs are left out and counted. Kind `none` are look-alikes
without a dependence.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver import independence
from threadweaver.independence import Leak

JUDGED = Path(__file__).resolve().parent / "leaks"
THRESHOLD = independence.CONFIDENT
SWEEP = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85)
LOOKALIKE = "none"
SIDES = {"dev": "templates_dev.json", "tune": "templates_tune.json", "test": "templates_heldout.json"}
_SYMBOLS = "q w u v h g K W Q L R z b d p M H G J t s c \\lambda \\mu \\rho \\omega u_1 w_2 K_0 d_3 T_4 h_5 W_7".split()
_EXPRESSIONS = (
    "\\frac{%da+%d}{5}",
    "%dx^2-%dx+11",
    "\\sqrt{%dt+%d}",
    "%dn(n+%d)",
    "(%dm-%d)/7",
    "%dab+%d",
    "%dk^3+%d",
    "\\frac{%d-x}{%dx}",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two passages of a chain, the text before the first, and whether the second depends on the first."""

    name: str
    context: str
    source: str
    target: str
    verdict: str  # dependent, independent, wording, unclear
    kinds: tuple[str, ...]
    ahead: str = ""
    between: str = ""
    """The parts of their block before the first and between the two: siblings of both, as in the pipeline."""
    planted: tuple[str, str] = ("", "")

    def leaks(self) -> list[Leak]:
        passages = [text for text in (self.ahead, self.source, self.between, self.target) if text.strip()]
        pair = (int(bool(self.ahead.strip())), len(passages) - 1)
        return [leak for leak in independence.leaks(self.context, passages) if (leak.source, leak.target) == pair]


@dataclass(frozen=True, slots=True)
class Scored:
    pair: Pair
    found: tuple[Leak, ...]
    score: float

    @classmethod
    def of(cls, pair: Pair) -> Scored:
        found = pair.leaks()
        return cls(pair, tuple(found), max((leak.score for leak in found), default=0.0))


def read_chains(path: str) -> dict[str, tuple[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return {row["uuid"]: (row["problem"], row["thinking"]) for row in map(json.loads, file)}


def read_pairs(path: Path, chains: dict[str, tuple[str, str]]) -> list[Pair]:
    """Read the judged pairs of a file; a pair whose chain is not in the corpus is reported and left out."""
    pairs, missing = [], 0
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        row = json.loads(line)
        problem, thinking = chains.get(row["uuid"], ("", ""))
        lines = thinking.split("\n")
        (first, last), (start, end) = row["source"], row["target"]
        if end > len(lines):
            missing += 1
            continue
        block = row.get("block_first", first)
        before = "\n".join(lines[: block - 1])
        pairs.append(
            Pair(
                f"{row['uuid']} L{first}-L{last} L{start}-L{end}",
                f"{problem}\n\n{before}",
                "\n".join(lines[first - 1 : last]),
                "\n".join(lines[start - 1 : end]),
                row["verdict"],
                tuple(row.get("kinds", ())),
                "\n".join(lines[block - 1 : first - 1]),
                "\n".join(lines[last : start - 1]),
            )
        )
    if missing:
        print(f"{path.name}: {missing} pairs are left out, their chains are not in the corpus")
    return pairs


def fresh(text: str, rng: random.Random) -> dict[str, str]:
    """Return a symbol, a number and an expression that `text` does not contain."""
    free = [name for name in _SYMBOLS if not re.search(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z0-9])", text)]
    number = next(n for n in iter(lambda: str(rng.randrange(211, 9800)), None) if n not in text and n[-1] != "0")
    shape = rng.choice(_EXPRESSIONS)
    expression = next(
        e for e in iter(lambda: shape % (rng.randrange(12, 98), rng.randrange(3, 98)), None) if e not in text
    )
    return {"{s}": rng.choice(free[:12] or ["q_9"]), "{n}": number, "{e}": expression}


def insert(passage: str, sentence: str, rng: random.Random) -> str:
    """Return the passage with one more paragraph, at its beginning, at its end or in between."""
    lines = passage.split("\n")
    gaps = [at for at in range(len(lines) + 1) if at in (0, len(lines)) or not lines[at - 1].strip()]
    at = rng.choice(gaps)
    return "\n".join([*lines[:at], sentence, "", *lines[at:]])


def plant(pair: Pair, kind: str, template: dict[str, str], rng: random.Random) -> Pair:
    define, use = template["define"], template["use"]
    for mark, name in fresh("\n".join((pair.context, pair.ahead, pair.source, pair.between, pair.target)), rng).items():
        define, use = define.replace(mark, name), use.replace(mark, name)
    verdict = "independent" if kind == LOOKALIKE else "dependent"
    return replace(
        pair,
        source=insert(pair.source, define, rng),
        target=insert(pair.target, use, rng),
        verdict=verdict,
        kinds=(kind,),
        planted=(define, use),
    )


def planted(hosts: Sequence[Pair], templates: dict[str, list[dict[str, str]]], each: int, seed: int) -> list[Pair]:
    """Return every host with `each` templates of every kind, taking all templates in turn."""
    rng, pairs = random.Random(seed), []
    for kind, sentences in templates.items():
        turn = 0
        for host in hosts:
            for _ in range(each):
                pairs.append(plant(host, kind, sentences[turn % len(sentences)], rng))
                turn += 1
    return pairs


def rate(part: int, whole: int) -> str:
    return f"{part}/{whole} = {part / whole:.3f}" if whole else "0/0"


def count(scored: Iterable[Scored], verdict: str, threshold: float) -> tuple[int, int]:
    """Return (flagged, all) for the pairs with this verdict."""
    scores = [item.score for item in scored if item.pair.verdict == verdict]
    return sum(score >= threshold for score in scores), len(scores)


def report_rates(scored: Sequence[Scored], threshold: float) -> tuple[float, float]:
    """Print recall, false alarms and precision; return the first two."""
    hit, dependent = count(scored, "dependent", threshold)
    alarm, independent = count(scored, "independent", threshold)
    print(
        f"  at {threshold:.2f}: recall {rate(hit, dependent)}, false alarms {rate(alarm, independent)}, precision {rate(hit, hit + alarm)}"
    )
    return hit / max(1, dependent), alarm / max(1, independent)


def report_kinds(scored: Sequence[Scored], threshold: float) -> None:
    for kind in sorted({kind for item in scored for kind in item.pair.kinds}):
        of_kind = [item for item in scored if kind in item.pair.kinds and item.pair.verdict == "dependent"]
        if of_kind:
            print(f"    {kind:14} recall {rate(*count(of_kind, 'dependent', threshold))}")


def report_judged(name: str, scored: Sequence[Scored], threshold: float) -> tuple[float, float]:
    verdicts = ("dependent", "independent", "wording", "unclear")
    rows = {verdict: count(scored, verdict, threshold) for verdict in verdicts}
    print(f"\n{name}: {len(scored)} pairs judged by hand")
    print("                " + "".join(f"{verdict:>13}" for verdict in verdicts))
    print("    flagged     " + "".join(f"{rows[verdict][0]:13}" for verdict in verdicts))
    print("    left alone  " + "".join(f"{rows[verdict][1] - rows[verdict][0]:13}" for verdict in verdicts))
    result = report_rates(scored, threshold)
    report_kinds(scored, threshold)
    print("  sweep")
    for other in SWEEP:
        report_rates(scored, other)
    return result


def report_planted(name: str, scored: Sequence[Scored], hosts: Sequence[Scored], threshold: float) -> None:
    quiet = {item.pair.name for item in hosts if item.score < threshold}
    fit = [item for item in scored if item.pair.name in quiet]
    print(
        f"\n{name}: {len(fit)} planted pairs in {len(quiet)} of {len(hosts)} pairs judged independent (the others are flagged without)"
    )
    report_rates(fit, threshold)
    report_kinds(fit, threshold)
    print("  sweep")
    for other in SWEEP:
        quiet = {item.pair.name for item in hosts if item.score < other}
        report_rates([item for item in scored if item.pair.name in quiet], other)


def show(scored: Sequence[Scored], threshold: float) -> None:
    """Print the pairs that the detector gets wrong, with its evidence."""
    for wrong, verdict in (("MISSED", "dependent"), ("FALSE ALARM", "independent"), ("WORDING FLAGGED", "wording")):
        for item in scored:
            if item.pair.verdict == verdict and (item.score >= threshold) != (verdict == "dependent"):
                print(f"  {wrong} {item.pair.name} {'/'.join(item.pair.kinds)} score {item.score:.2f}")
                for text in filter(None, item.pair.planted):
                    print(f"      | {text}")
                for leak in item.found[:6]:
                    used = " ".join(item.pair.target[max(0, leak.used_at - 40) : leak.used_at + 40].split())
                    print(f"      {leak.score:.2f} {leak.kind} {leak.what!r}: …{used}…")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chains", help="a collected.jsonl that holds the chains of the judged pairs")
    parser.add_argument("--split", choices=tuple(SIDES), help="only the judged pairs (and templates) of this side")
    parser.add_argument(
        "--threshold", type=float, default=THRESHOLD, help=f"pair score that counts as dependent ({THRESHOLD})"
    )
    parser.add_argument("--plants", type=int, default=3, help="templates of each kind planted into a pair (3)")
    parser.add_argument(
        "--seed", type=int, default=7, help="seed for where and with which names a template is planted (7)"
    )
    parser.add_argument("--show", action="store_true", help="list the pairs that the detector gets wrong")
    parser.add_argument("--at-least", type=float, default=0.0, help="recall that each set of judged pairs must reach")
    parser.add_argument("--at-most", type=float, default=1.0, help="share of false alarms that no set may exceed")
    arguments = parser.parse_args()
    chains = read_chains(arguments.chains)
    good = True
    for side, templates in SIDES.items():
        if arguments.split in (None, side):
            good &= measure(side, JUDGED / f"{side}.jsonl", JUDGED / templates, chains, arguments)
    return 0 if good else 1


def measure(
    side: str, judged: Path, templates: Path, chains: dict[str, tuple[str, str]], arguments: argparse.Namespace
) -> bool:
    """Report on one side, its real and planted pairs; return whether the real ones keep the limits."""
    if not judged.exists():
        print(f"\n{side}: no {judged.name}, nothing is measured")
        return True
    scored = [Scored.of(pair) for pair in read_pairs(judged, chains)]
    recall, alarms = report_judged(side, scored, arguments.threshold)
    if arguments.show:
        show(scored, arguments.threshold)
    if not templates.exists():
        print(f"\n{side}: no {templates.name}, nothing is planted")
    else:
        hosts = [
            Scored.of(replace(item.pair, ahead="", between="")) for item in scored if item.pair.verdict == "independent"
        ]
        pairs = planted(
            [item.pair for item in hosts],
            json.loads(templates.read_text(encoding="utf-8")),
            arguments.plants,
            arguments.seed,
        )
        plants = [Scored.of(pair) for pair in pairs]
        report_planted(templates.stem, plants, hosts, arguments.threshold)
        if arguments.show:
            quiet = {item.pair.name for item in hosts if item.score < arguments.threshold}
            show([item for item in plants if item.pair.name in quiet], arguments.threshold)
    return recall >= arguments.at_least and alarms <= arguments.at_most


if __name__ == "__main__":
    raise SystemExit(main())
