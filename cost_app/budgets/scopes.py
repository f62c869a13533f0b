"""Which calls a budget counts: defined in one place for admission, for ledger entries and for rollups.

A budget of an API key counts all keys that replaced each other by rotation, so that a rotation neither adds nor removes
allowance. Users and tags are compared in their normal form (`aiinfra.names`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from aiinfra.names import normal_name, normal_names
from aiinfra.tenants.keys import line_of
from aiinfra.tenants.scope import KEPT, Prepared
from aiinfra.tenants.statements import Parameter
from cost_app.models import Attempt, Budget, BudgetScope, Dimension, LedgerEntry

Row = TypeVar("Row", LedgerEntry, Attempt)


def budgets_counting(attempt: Attempt) -> QuerySet[Budget]:
    """The budgets, active or not, whose scope includes this call. The key's rotations are part of the one query."""
    counting = _counting(attempt.name, attempt.tags, attempt.api_key_id, attempt.user_ref)
    return Budget.objects.filter(counting, organization_id=attempt.organization_id)


def active_budgets(attempt: Attempt) -> list[Budget]:
    """The active ones of `budgets_counting`, for each call: the SQL is written once."""
    select = _active_budgets(len(attempt.tags), has_key=bool(attempt.api_key_id), has_user=bool(attempt.user_ref))
    tags = {f"tag {number}": tag for number, tag in enumerate(attempt.tags)}
    return select.run(
        organization=attempt.organization_id,
        model=attempt.name,
        key=attempt.api_key_id,
        user=attempt.user_ref,
        **tags,
    )


@lru_cache(KEPT)
def _active_budgets(tags: int, *, has_key: bool, has_user: bool) -> Prepared[list[Budget]]:
    def build(budgets: QuerySet[Budget]) -> QuerySet[Budget]:
        counting = _counting(
            Parameter("model", "scope_value"),
            [Parameter(f"tag {number}", "scope_value") for number in range(tags)],
            Parameter("key", "id") if has_key else None,
            Parameter("user", "scope_value") if has_user else None,
        )
        return budgets.filter(counting, organization_id=Parameter("organization", "organization_id"), is_active=True)

    return Budget.objects.prepare_select(build)


def _counting(model: Any, tags: Sequence[Any], api_key_id: Any, user_ref: Any) -> Q:
    counting = (
        Q(scope=BudgetScope.ORGANIZATION)
        | Q(scope=BudgetScope.MODEL, scope_value=model)
        | Q(scope=BudgetScope.TAG, scope_value__in=tags)
    )
    if api_key_id:
        row_ids = line_of(api_key_id).values_list(Cast("id", CharField()))
        counting |= Q(scope=BudgetScope.API_KEY, scope_value__in=row_ids)
    if user_ref:
        counting |= Q(scope=BudgetScope.USER, scope_value=user_ref)
    return counting


@dataclass(frozen=True)
class Scope:
    """A budget's scope and its values in the ledger and the rollups: the keys' row IDs, or a single value."""

    kind: str
    values: tuple[str, ...]

    @property
    def dimension(self) -> str:
        """The dimension of the rollups by hour and day."""
        return Dimension.TOTAL.value if self.kind == BudgetScope.ORGANIZATION else self.kind

    def has(self, row: LedgerEntry | Attempt) -> bool:
        """Whether this entry or attempt counts."""
        match self.kind:
            case BudgetScope.API_KEY:
                return str(row.api_key_id) in self.values
            case BudgetScope.USER:
                return normal_name(row.user_ref) in self.values
            case BudgetScope.MODEL:
                return f"{row.provider}/{row.model}" in self.values
            case BudgetScope.TAG:
                return any(tag in self.values for tag in normal_names(row.tags))
            case _:
                return True

    def chosen(self, rows: Iterable[Row]) -> list[Row]:
        """Filter the rows to those that count."""
        return [row for row in rows if self.has(row)]


def scope_of(kind: str, value: str) -> Scope:
    """The scope of a budget; one query for an API key, none for others."""
    if kind == BudgetScope.API_KEY:
        row_ids = line_of(int(value)).order_by("id").values_list("id", flat=True)
        return Scope(kind, tuple(dict.fromkeys([value, *map(str, row_ids)])))
    return Scope(kind, (value,))
