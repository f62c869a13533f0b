"""A price book of an earlier release keeps its amounts, and stays closed to changes."""

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from cost_app.models import ModelPrice

BEFORE = [("cost_app", "0006_export_deliveries")]


@pytest.mark.django_db(transaction=True)
def test_an_old_long_prompt_price_becomes_a_step() -> None:
    MigrationExecutor(connection).migrate(BEFORE)
    try:
        old = MigrationExecutor(connection).loader.project_state(BEFORE).apps.get_model("cost_app", "ModelPrice")
        long = {"long_input": 2, "long_cache_read": 3, "long_cache_write": 4, "long_output": 6}
        short = dict.fromkeys(("input", "cache_read", "cache_write", "output"), 1)
        key = old.objects.create(provider="local", model="m", source="t", long_context_from=5, **short, **long).pk
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    rows = ModelPrice.objects.filter(pk=key)
    step = {"above": 5, "input": 2, "cache_read": 3, "cache_write": 4, "output": 6, "cache_write_1h": None}
    assert rows.get().long_prompts == [step]
    for change in ({"input": 9}, {"long_prompts": []}, {"cache_write_1h": 1}):
        with pytest.raises(DatabaseError):
            rows.update(**change)
    assert rows.update(effective_to=timezone.now()) == 1
