"""`python -m tests.mutants`: change the code in random places and check that the tests fail."""

import argparse
import os
import random
import sys
import tomllib
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.mutants.operators import Mutant, mutants_of
from tests.mutants.runner import ROOT, SURVIVED, VERDICTS, run_all
from tests.mutants.targets import TESTS

EXPLAINED = Path(__file__).with_name("explained.toml")
ENOUGH = 0.90


def main() -> int:
    """Run a sample of mutants; returns 0 if at least 90% were killed or are explained."""
    options = _options()
    modules = [name for name in TESTS if not options.modules or name.startswith(tuple(options.modules))]
    if not modules:
        sys.exit(f"no module in tests/mutants/targets.py begins with {' or '.join(options.modules)}")
    mutants = sample(modules, options.sample, options.seed)
    print(f"{len(mutants)} mutants of {len(modules)} modules, seed {options.seed}, {options.workers} at a time")
    explained = explanations()
    verdicts = run_all(mutants, options.workers, lambda mutant, verdict: _tell(mutant, verdict, explained))
    return _last_word(mutants, verdicts, explained)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=50, help="how many mutants")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="reproduces a sample")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many to run in parallel")
    parser.add_argument("--modules", nargs="*", default=[], help="paths or their prefixes; default: all")
    return parser.parse_args()


def sample(modules: Sequence[str], size: int, seed: int) -> list[Mutant]:
    """A sample of different mutants, balanced over modules and, within a module, over operators."""
    chance = random.Random(seed)
    lines = [_shuffled(mutants_of(name, (ROOT / name).read_text(encoding="utf-8")), chance) for name in modules]
    chance.shuffle(lines)
    chosen: list[Mutant] = []
    while len(chosen) < size and any(lines):
        chosen += [line.pop() for line in lines if line]
    return chosen[:size]


def _shuffled(mutants: list[Mutant], chance: random.Random) -> list[Mutant]:
    """Shuffle mutants so that rare operators come as early as frequent ones."""
    kinds = [list(kind) for _, kind in groupby(sorted(mutants, key=_operator), _operator)]
    for kind in kinds:
        chance.shuffle(kind)
    places = [((number + chance.random()) / len(kind), mutant) for kind in kinds for number, mutant in enumerate(kind)]
    return [mutant for _, mutant in sorted(places, key=lambda place: place[0])]


def _operator(mutant: Mutant) -> str:
    return mutant.operator


def explanations() -> dict[tuple[str, ...], str]:
    """`Mutant.key` -> reason why the mutant survives."""
    rows = tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get("survivor", [])
    return {tuple(row[name] for name in ("module", "function", "operator", "old", "new")): row["why"] for row in rows}


def _tell(mutant: Mutant, verdict: str, explained: dict[tuple[str, ...], str]) -> None:
    """Print the verdict on a mutant, with its change if it survived without an explanation."""
    why = explained.get(mutant.key) if verdict == SURVIVED else None
    print(f"{verdict if why is None else 'explained':<10} {mutant.module}:{mutant.line} {mutant.function}", end="")
    print(f" ({mutant.operator})", flush=True)
    if verdict == SURVIVED and why is None:
        print(f"    - {mutant.old}\n    + {mutant.new}", flush=True)


def _last_word(mutants: Sequence[Mutant], verdicts: Sequence[str], explained: dict[tuple[str, ...], str]) -> int:
    survivors = [mutant for mutant, verdict in zip(mutants, verdicts, strict=True) if verdict == SURVIVED]
    holes = [mutant for mutant in survivors if mutant.key not in explained]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)
    share = 1 - len(holes) / len(mutants)
    print(f"{counts}, of these {len(survivors) - len(holes)} explained: {share:.0%} (at least {ENOUGH:.0%} wanted)")
    return int(share < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
