"""The mutation tool: its operators, exclusions, and tables."""

import pytest

from tests.mutants.__main__ import explanations, sample
from tests.mutants.operators import Mutant, mutants_of
from tests.mutants.runner import KILLED, ROOT, SURVIVED, TIMED_OUT, Limits, run_all, verdict_of
from tests.mutants.targets import TESTS

SOURCE = '''"""A module."""

LIMIT = 5


def fits(rows: object, used: int, *, strict: bool = True) -> bool:
    """Whether it fits."""
    logger.info("asked", extra={"fields": {"used": 1}})
    if not strict and rows.filter(used__lte=used).exists():
        return used <= LIMIT
    raise ValueError("5")
'''


def changed(old: str) -> set[str]:
    """All mutations of a line."""
    return {mutant.new for mutant in mutants_of("a/module.py", SOURCE) if mutant.old == old}


def test_every_operator_is_applied() -> None:
    assert changed("LIMIT = 5") == {"LIMIT = 6"}
    assert changed("return used <= LIMIT") == {
        "return None",
        "return not (used <= LIMIT)",
        "return (used < LIMIT)",
        "return (used > LIMIT)",
    }
    assert changed("if not strict and rows.filter(used__lte=used).exists():") == {
        "if True:",
        "if False:",
        "if (not strict or rows.filter(used__lte=used).exists()):",
        "if rows.filter(used__lte=used).exists():",
        "if (not strict):",
        "if strict and rows.filter(used__lte=used).exists():",
        "if not strict and rows.exists():",
        "if not strict and rows.filter().exists():",
        "if not strict and rows.filter(used__lt=used).exists():",
    }


def test_log_calls_messages_and_annotations_are_not_mutated() -> None:
    lines = {mutant.old for mutant in mutants_of("a/module.py", SOURCE)}
    assert not any("logger" in line or "raise" in line or '"""' in line for line in lines)


def test_a_mutant_changes_one_place_and_its_key_does_not_depend_on_line_numbers() -> None:
    here = mutants_of("a/module.py", SOURCE)
    there = mutants_of("a/module.py", SOURCE.replace("LIMIT = 5\n", "\n\nLIMIT = 5\n"))
    assert [mutant.key for mutant in here] == [mutant.key for mutant in there]
    assert {mutant.line for mutant in here} != {mutant.line for mutant in there}
    for mutant in here:
        lines = zip(SOURCE.splitlines(), mutant.source.splitlines(), strict=True)
        assert [" ".join(new.split()) for old, new in lines if old != new] == [mutant.new]


def test_a_seed_reproduces_the_sample() -> None:
    modules = ["aiinfra/tenants/scope.py", "cost_app/budgets/holds.py"]
    first, again, other = (sample(modules, 20, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [sum(mutant.module == name for mutant in first) for name in modules] == [10, 10]


@pytest.fixture(scope="module")
def mutants() -> dict[str, list[Mutant]]:
    """All mutants of each listed module, which take seconds to find."""
    return {module: mutants_of(module, (ROOT / module).read_text(encoding="utf-8")) for module in TESTS}


def test_every_listed_module_and_test_exists(mutants: dict[str, list[Mutant]]) -> None:
    for module, tests in TESTS.items():
        assert mutants[module] or "facade" in module
        assert all((ROOT / path).exists() for path in tests)


def test_every_explained_mutant_exists(mutants: dict[str, list[Mutant]]) -> None:
    known = {mutant.key for found in mutants.values() for mutant in found}
    assert [key for key in explanations() if key not in known] == []


@pytest.mark.parametrize(("status", "verdict"), [(0, SURVIVED), (1, KILLED), (2, KILLED), (4, KILLED), (-9, TIMED_OUT)])
def test_a_mutant_survives_only_if_all_tests_pass(status: int, verdict: str) -> None:
    """pytest ends with 4 if a mutant breaks an import of the tests."""
    assert verdict_of(status) == verdict


def test_limits_leave_room_for_a_busy_machine() -> None:
    assert Limits.after(10) == Limits(cpu_s=50, wall_s=220)


def test_a_mutant_is_run_in_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One mutant is killed and one survives, and the working tree is unchanged."""
    module, tests = "aiinfra/money.py", ("tests/web/test_formats.py",)
    monkeypatch.setitem(TESTS, module, tests)
    source = (ROOT / module).read_text(encoding="utf-8")
    harmless = Mutant(module, "", "none", "", "", 1, source + "# nothing\n")
    deadly = Mutant(module, "", "none", "", "", 1, "raise RuntimeError\n")
    told: list[str] = []
    verdicts = run_all([harmless, deadly], 1, lambda _mutant, verdict: told.append(verdict))
    assert verdicts == told == [SURVIVED, KILLED]
    assert (ROOT / module).read_text(encoding="utf-8") == source
