"""The mutated modules and the tests that must fail: quick ones first, process tests last."""

from pathlib import Path

BUDGETS = (
    "tests/cost_app/budgets/test_holds.py",
    "tests/cost_app/budgets/test_holds_by_model.py",
    "tests/cost_app/budgets/test_late_refunds.py",
    "tests/cost_app/budgets/test_windows.py",
    "tests/cost_app/budgets/test_manage.py",
    "tests/cost_app/budgets/test_restoring.py",
    "tests/cost_app/budgets/test_current_windows.py",
    "tests/cost_app/budgets/test_increases.py",
    "tests/cost_app/budgets/test_opening.py",
    "tests/cost_app/budgets/test_left.py",
    "tests/cost_app/ledger/test_tracking.py",
    "tests/cost_app/ledger/test_repeated_reports.py",
    "tests/cost_app/budgets/test_budget_model.py",
)
LEDGER = (
    "tests/cost_app/ledger/test_attempts.py",
    "tests/cost_app/ledger/test_attempt_ends.py",
    "tests/cost_app/budgets/test_holds.py",
    "tests/cost_app/ledger/test_sweeper.py",
    "tests/cost_app/ledger/test_tracking.py",
    "tests/cost_app/ledger/test_repeated_reports.py",
    "tests/cost_app/ledger/test_rollups.py",
    "tests/cost_app/ledger/test_rollup_tags.py",
    "tests/cost_app/prices/test_repricing.py",
    "tests/cost_app/ledger/test_attempts_model.py",
)
QUEUE = (
    "tests/queue_app/test_outcomes.py",
    "tests/queue_app/test_retries.py",
    "tests/queue_app/test_lost_workers.py",
    "tests/queue_app/test_latecomers.py",
    "tests/queue_app/test_bystanders.py",
    "tests/queue_app/test_coalescing.py",
    "tests/queue_app/test_coalescing_ends.py",
    "tests/queue_app/test_claims.py",
    "tests/queue_app/test_index_repair.py",
    "tests/queue_app/test_facade.py",
    "tests/queue_app/test_control.py",
    "tests/queue_app/test_worker.py",
)
KEYS = (
    "tests/tenants/test_keys.py",
    "tests/tenants/test_key_text.py",
    "tests/tenants/test_key_changes.py",
    "tests/tenants/test_key_callers.py",
    "tests/tenants/test_key_rotation.py",
    "tests/tenants/test_keys_page.py",
    "tests/tenants/test_commands.py",
    "tests/tenants/test_scope.py",
    "tests/tenants/test_scope_kinds.py",
    "tests/api/test_credentials.py",
    "tests/limits/test_keys_api.py",
)
GUARDS = ("tests/cache_app/guards", "tests/cache_app/test_quality.py")

TESTS: dict[str, tuple[str, ...]] = {
    "cost_app/budgets/holds.py": BUDGETS,
    "cost_app/budgets/windows.py": BUDGETS,
    "cost_app/budgets/manage.py": BUDGETS,
    "cost_app/ledger/admission.py": (
        *LEDGER,
        "tests/cost_app/budgets/test_holds_by_model.py",
        "tests/queue_app/test_intake.py",
    ),
    "cost_app/ledger/attempts.py": LEDGER,
    "cost_app/ledger/cache_hits.py": ("tests/cost_app/ledger", "tests/queue_app/test_coalescing_ends.py"),
    "cost_app/ledger/entries.py": (*LEDGER, "tests/monitoring/test_metrics.py"),
    "cost_app/ledger/sweeper.py": LEDGER,
    "cost_app/ledger/tracking.py": (
        "tests/cost_app/ledger/test_tracking.py",
        "tests/cost_app/ledger/test_repeated_reports.py",
        "tests/cost_app/budgets/test_api.py",
    ),
    "cost_app/ledger/rollups.py": (
        "tests/cost_app/ledger/test_rollups.py",
        "tests/cost_app/ledger/test_rollup_tags.py",
    ),
    "queue_app/ordering/claims.py": (*QUEUE, "tests/queue_app/test_worker_costs.py"),
    "queue_app/processing/outcomes.py": QUEUE,
    "queue_app/caching/coalescing.py": (
        "tests/queue_app/test_coalescing.py",
        "tests/queue_app/test_coalescing_ends.py",
        "tests/queue_app/test_bystanders.py",
    ),
    "queue_app/caching/cache_answer.py": (*QUEUE, "tests/gateway/test_cached.py", "tests/queue_app/test_warming.py"),
    "queue_app/processing/provider_call.py": (*QUEUE, "tests/gateway/test_first_token.py"),
    "cache_app/writing.py": (
        "tests/cache_app/learning/test_judging.py",
        "tests/cache_app/test_lookup.py",
        "tests/gateway/test_cached.py",
    ),
    "queue_app/repair/index_repair.py": QUEUE,
    "aiinfra/tenants/key_authentication.py": (*KEYS, "tests/security/test_rotating_peppers.py"),
    "aiinfra/tenants/key_text.py": KEYS,
    "aiinfra/tenants/keys.py": KEYS,
    "aiinfra/tenants/scope.py": (*KEYS, "tests/tenants/test_statements.py"),
    "aiinfra/egress.py": (
        "tests/test_egress.py",
        "tests/test_egress_bodies.py",
        "tests/test_egress_pool.py",
        "tests/test_public_addresses.py",
    ),
    **{str(path): GUARDS for path in sorted(Path("cache_app/guards").glob("[a-z]*.py"))},
}
