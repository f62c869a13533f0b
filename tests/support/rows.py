"""Creates rows of any model from its columns, for tests that cover every table."""

import uuid
from datetime import timedelta
from itertools import count
from typing import Any

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models import Organization

_numbers = count(1)
AMOUNT = 7_654_321_000_000
"""Base amount of every `…_nano` column, to which a number is added so that it is unique on a page."""


def make_row(model: type[models.Model], organization: Organization, marks: dict[str, Any] | None = None) -> Any:
    """Create a row and the rows that it refers to. `marks` are column values, such as texts that must be hidden."""
    number = next(_numbers)
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if marks and field.name in marks:
            values[field.name] = marks[field.name]
        elif isinstance(field, models.ForeignKey):
            values[field.name] = _related(field, model, organization)
        elif not (field.primary_key and isinstance(field, models.AutoField)):
            values[field.name] = _value(field, number)
    row = model(**{**values, **FITTING.get(model._meta.label, {})})
    row.save(force_insert=True)
    return row


FITTING: dict[str, dict[str, Any]] = {
    "queue_app.AIRequest": {"status": "pending", "completed_at": None, "priority": 100, "idempotency_key": None},
    "cost_app.Budget": {"scope": "api_key", "scope_value": "1", "warning_percent": 80, "alert_percent": 100},
    "queue_app.QueuePolicy": {"paused_priorities": [10]},
    "cost_app.UsageDay": {"dimension": "api_key"},
    "cost_app.PriceProposal": {"window": [], "long_prompts": [], "state": "waiting"},
    "cost_app.ModelPrice": {"window": [], "long_prompts": []},
}
"""Model -> column values that its constraints require."""


def _related(field: "models.ForeignKey[Any, Any]", model: type[models.Model], organization: Organization) -> Any:
    target: Any = field.related_model
    if target is Organization:
        return organization
    return None if target is model else make_row(target, organization)


def _value(field: "models.Field[Any, Any]", number: int) -> Any:
    if field.name == "nano" or field.name.endswith("_nano"):
        return AMOUNT + number
    if field.choices:
        return next(iter(dict(field.flatchoices)))
    if field.has_default() and not isinstance(field, models.UUIDField | models.JSONField):
        return field.get_default()
    return _value_of_type(field, number)


def _value_of_type(field: "models.Field[Any, Any]", number: int) -> Any:
    if isinstance(field, models.UUIDField):
        return uuid.uuid4()
    if isinstance(field, models.DateTimeField):
        return timezone.now() + timedelta(hours=1 if field.name.startswith(("ends", "expires")) else 0)
    if isinstance(field, models.DateField):
        return timezone.now().date() - timedelta(days=number)
    if isinstance(field, models.JSONField):
        return {"spent_nano": AMOUNT + number}
    if isinstance(field, models.GenericIPAddressField):
        return "192.0.2.1"
    if isinstance(field, models.EmailField):
        return f"row{number}@example.com"
    if isinstance(field, models.BooleanField):
        return False
    if isinstance(field, models.BinaryField):
        return b"x"
    if isinstance(field, models.FloatField | models.IntegerField):
        return number
    return f"r{number}"[-(field.max_length or 100) :]
