"""Benchmark: does the time of a miss reveal what other organizations have asked? Two organizations, one process.

The first one has asked `QUESTIONS` questions and has their answers. The second one asks these and as many that no one
ever asked, in a random order, and must not be able to tell them apart: not by a hit, and not by the time. The rank-sum
test says how likely a difference at least as large is where there is none.

Run with `python benchmarks/cache_isolation.py`.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import math
import os
import random
import statistics
import subprocess
import time
from collections.abc import Sequence

import numpy as np

from benchmarks._installation import installation
from tests.support.processes import ROOT

QUESTIONS = int(os.environ.get("QUESTIONS", "600"))
INSIDE = "inside"
THINGS = ("invoice", "parcel", "contract", "password", "forecast", "licence", "delivery", "survey", "budget", "badge")
DEEDS = ("renew", "cancel", "export", "approve", "print", "archive", "translate", "share", "check", "correct")


def question(number: int) -> str:
    """The nth generated question. All have nearly the same length."""
    dice = random.Random(number)
    deed, thing, other = dice.choice(DEEDS), dice.choice(THINGS), dice.choice(THINGS)
    return f"How do I {deed} the {thing} with number {10_000 + number} and the {other} of the same customer?"


def p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """Wilcoxon's rank-sum test, two-sided, with the normal approximation (valid for about 20 values or more)."""
    ranks = np.argsort(np.argsort([*one, *other])) + 1
    n, m = len(one), len(other)
    mean, deviation = n * (n + m + 1) / 2, math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(float(ranks[:n].sum()) - mean) / deviation / math.sqrt(2))


def inside() -> None:
    """Measure in an installation's environment."""
    import django

    django.setup()
    from cache_app import create_semantic_cache

    cache = create_semantic_cache()
    for number in range(0, 2 * QUESTIONS, 2):
        turn = [{"role": "user", "content": question(number)}]
        cache.set(turn, {"content": "It depends."}, organization_id="bench")
        assert cache.get(turn, "deepseek", "deepseek-chat", organization_id="bench")
    times: dict[bool, list[float]] = {True: [], False: []}
    hits = 0
    order = list(range(2 * QUESTIONS))
    random.Random(1).shuffle(order)
    for number in order:
        turn = [{"role": "user", "content": question(number)}]
        began = time.perf_counter()
        hits += cache.get(turn, "deepseek", "deepseek-chat", organization_id="other") is not None
        times[number % 2 == 0].append((time.perf_counter() - began) * 1000)
    print(f"{2 * QUESTIONS} lookups by another organization: {hits} hits")
    for is_known, name in ((True, "asked before by the first organization"), (False, "never asked")):
        print(f"  {name:42} p50 {statistics.median(times[is_known]):6.3f} ms")
    p = p_value(times[True], times[False])
    print(f"  rank-sum test: p = {p:.2f} ({'no difference is seen' if p > 0.01 else 'THEY DIFFER'})")


def main() -> None:
    """Measure two organizations on a new installation."""
    with installation("sqlite", web=False) as at:
        at.manage("createorg", "other")
        command = [sys.executable, "-m", "benchmarks.cache_isolation", INSIDE]
        env = {**os.environ, **at.env, "DJANGO_SETTINGS_MODULE": "aiinfra.settings"}
        subprocess.run(command, cwd=ROOT, env=env, check=True)


if __name__ == "__main__":
    inside() if INSIDE in sys.argv else main()
