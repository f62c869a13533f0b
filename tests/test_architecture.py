"""Rules for imports and constructs. tests/tenants/test_scope.py lists the modules that see all organizations."""

import ast
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.processes import ROOT

PACKAGES = ("aiinfra", "queue_app", "cache_app", "cost_app")
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
VALUE_FIXTURES = {"caplog", "capsys", "client_of", "monkeypatch", "request", "settings", "tmp_path", "tmp_path_factory"}
"""Fixtures that change nothing unless their value is used."""
STATISTICS = ("cost_app/spend/", "cost_app/alerts/", "cost_app/recommendations/", "cost_app/performance/")
"""Averages, forecasts, and medians: they read costs but never change them."""
MONEY = {name for name in SOURCES if name.startswith("cost_app/") and not name.startswith(STATISTICS)} | {
    "aiinfra/money.py"
}
MAY_NAME_ADAPTERS = {"aiinfra/providers/registry.py": "makes them"}
MAY_CALL_PROVIDERS = {
    "aiinfra/providers/registry.py": "defines it",
    "queue_app/processing/provider_call.py": "sends calls and records an attempt for each",
    "cache_app/embedding/openai.py": "sends embedding calls and records an attempt for each",
    "queue_app/processing/embedding_call.py": "sends clients' embedding calls and records an attempt for each",
    "cost_app/ledger/sweeper.py": "looks up the cost of calls whose outcome is unknown",
}
MAY_USE_FLOATS = {
    "cost_app/tasks.py": "seconds between runs",
}
MAY_HANDLE_SIGNALS = {
    "queue_app/processing/worker.py": "sets a flag and forwards the signal to the workers",
    "queue_app/scheduler.py": "sets a flag",
    "aiinfra/stack/terminal.py": "forwards SIGHUP to supervisor, which appends it to a list",
}
"""None of these takes a lock: a handler interrupts the main thread, which may already hold it."""
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "mark_safe"}

Rule = Callable[[str], bool]


@cache
def nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def imported(source: str) -> set[str]:
    """Every dotted name that the source imports."""
    names: set[str] = set()
    for node in nodes(source):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def names_adapters(source: str) -> bool:
    """Imports an adapter or contains its dotted path."""
    texts = {node.value for node in nodes(source) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return any("aiinfra.providers.adapters." in name + "." for name in imported(source) | texts)


def calls_providers(source: str) -> bool:
    names = {node.id for node in nodes(source) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in nodes(source) if isinstance(node, ast.Attribute)}
    defined = {node.name for node in nodes(source) if isinstance(node, ast.FunctionDef)}
    return "adapter_for" in names | attributes | defined


def uses_floats(source: str) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Attribute) and node.attr == "FloatField")
        for node in nodes(source)
    )


def divides(source: str) -> bool:
    """Uses `/`, which returns a float for two integers; `//` does not."""
    return any(isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) for node in nodes(source))


def handles_signals(source: str) -> bool:
    """Installs a signal handler or overrides one that RQ installs."""
    calls = {ast.unparse(node.func) for node in nodes(source) if isinstance(node, ast.Call)}
    defined = {node.name for node in nodes(source) if isinstance(node, ast.FunctionDef)}
    installers = ("signal.signal", "signal.siginterrupt", "signal.set_wakeup_fd")
    return bool(calls & {*installers, "signal"} or any(name.endswith("add_signal_handler") for name in calls)) or bool(
        defined & {"request_stop", "_install_signal_handlers"}
    )


def runs_untrusted_code(source: str) -> bool:
    """Unpickles, evaluates, or writes unescaped HTML. Methods named eval are allowed (Redis has one)."""
    called = {node.func.id for node in nodes(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    modules = {name.partition(".")[0] for name in imported(source)}
    members = {name.rpartition(".")[2] for name in imported(source)}
    attributes = {node.attr for node in nodes(source) if isinstance(node, ast.Attribute)}
    return bool(modules & FORBIDDEN_MODULES or called & FORBIDDEN_CALLS or "mark_safe" in members | attributes)


def registers_a_robust_partial(source: str) -> bool:
    """When a robust callback fails, Django logs its name, which a partial doesn't have: the error would propagate."""
    calls = [node for node in nodes(source) if isinstance(node, ast.Call) and "on_commit" in ast.unparse(node.func)]
    robust = [call for call in calls if any(each.arg == "robust" for each in call.keywords)]
    return any(isinstance(call.args[0], ast.Call) for call in robust)


def violations(rule: Rule, among: set[str] | None = None) -> set[str]:
    return {name for name, source in SOURCES.items() if (among is None or name in among) and rule(source)}


def test_imports_follow_the_layers() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([str(lint_imports)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_only_the_registry_imports_adapters() -> None:
    outside = {name for name in SOURCES if not name.startswith("aiinfra/providers/adapters/")}
    assert violations(names_adapters, outside) == set(MAY_NAME_ADAPTERS)


def test_only_code_that_records_attempts_calls_providers() -> None:
    assert violations(calls_providers) == set(MAY_CALL_PROVIDERS)


def test_money_code_uses_no_floats() -> None:
    assert violations(uses_floats, MONEY) == set(MAY_USE_FLOATS)
    assert violations(divides, MONEY) == set()


def test_code_neither_runs_untrusted_code_nor_writes_raw_html() -> None:
    assert violations(runs_untrusted_code) == set()


def test_robust_callbacks_have_a_name() -> None:
    assert violations(registers_a_robust_partial) == set()


def test_signal_handlers_are_only_where_listed() -> None:
    assert violations(handles_signals) == set(MAY_HANDLE_SIGNALS)


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (handles_signals, "signal.signal(signal.SIGTERM, stop)"),
        (handles_signals, "loop.add_signal_handler(15, stop)"),
        (handles_signals, "class Worker(SimpleWorker):\n    def request_stop(self, signum, frame): ..."),
        (registers_a_robust_partial, "transaction.on_commit(partial(record, entry), robust=True)"),
        (names_adapters, "from aiinfra.providers.adapters.openai_compatible import OpenAICompatibleAdapter"),
        (names_adapters, "from aiinfra.providers import adapters"),
        (names_adapters, "import_string('aiinfra.providers.adapters.openai_compatible.OpenAICompatibleAdapter')"),
        (calls_providers, "from aiinfra.providers import registry\nregistry.adapter_for('openai')"),
        (calls_providers, "adapter_for('openai').chat(1, 2)"),
        (uses_floats, "price = 0.14"),
        (uses_floats, "nano = float(dollars)"),
        (uses_floats, "price = models.FloatField()"),
        (divides, "cost = tokens * price / 1_000_000"),
        (runs_untrusted_code, "import pickle"),
        (runs_untrusted_code, "from pickle import loads"),
        (runs_untrusted_code, "eval(text)"),
        (runs_untrusted_code, "from django.utils.safestring import mark_safe"),
        (runs_untrusted_code, "safestring.mark_safe(text)"),
    ],
)
def test_each_rule_detects_a_violation(rule: Rule, source: str) -> None:
    assert rule(source)


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (divides, "cost = -(-total // 1_000_000)"),
        (uses_floats, "cost = 3"),
        (registers_a_robust_partial, "on_commit(lambda: record(entry), robust=True)"),
        (registers_a_robust_partial, "on_commit(partial(record, entry))"),
        (runs_untrusted_code, "redis.eval(script)"),
    ],
)
def test_rules_accept_correct_code(rule: Rule, source: str) -> None:
    assert not rule(source)


def test_tests_use_the_values_that_they_request() -> None:
    """An unused `monkeypatch` shows that a test does not create the situation that its name claims."""
    unused = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                requested = VALUE_FIXTURES & {each.arg for each in function.args.args + function.args.kwonlyargs}
                unused += [f"{path.name}: {function.name}({name})" for name in sorted(requested - used)]
    assert unused == []
