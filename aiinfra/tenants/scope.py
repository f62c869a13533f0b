"""Limits which rows the current code can access.

Every tenant table is read through `TenantManager`, which adds the organization of the current request or job and raises
if none is set: a forgotten scope is an error, never a leak.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from django.db import models

from aiinfra.tenants.shapes import Shape, columns_in, filters_in, shape_of_columns, shape_of_filters
from aiinfra.tenants.statements import ORGANIZATION, Given, Insert, Parameter, Rows, Select, Update

EVERY_ORGANIZATION = -1
INSTALLATION = -2
VARIABLE = "aiinfra.scope"
"""PostgreSQL's name for the scope."""
_organization_id: ContextVar[int | None] = ContextVar("organization_id", default=None)
_owner: ContextVar[Parameter | None] = ContextVar("owner", default=None)
"""The parameter for the organization, while the SQL of a prepared statement is written."""

KEPT = 1_000
"""Statements that are kept. Each belongs to a line of code; the bound is for lists whose length varies."""

Model = TypeVar("Model", bound=models.Model, covariant=True)
Result = TypeVar("Result")


class NoOrganizationError(RuntimeError):
    """Tenant data was read or written without an organization in scope."""


@contextmanager
def organization_scope(organization_id: int) -> Iterator[None]:
    """Limit every query of the block to one organization."""
    token = _organization_id.set(organization_id)
    try:
        yield
    finally:
        _organization_id.reset(token)


@contextmanager
def system_scope() -> Iterator[None]:
    """Let the block see all organizations: for claims, sweeps, admin and commands. A test lists who may use it."""
    token = _organization_id.set(EVERY_ORGANIZATION)
    try:
        yield
    finally:
        _organization_id.reset(token)


@contextmanager
def installation_scope() -> Iterator[None]:
    """Limit every query of the block to rows that belong to the installation and to no organization.

    For staff and for whatever monitors the installation. A test lists who may use it.
    """
    token = _organization_id.set(INSTALLATION)
    try:
        yield
    finally:
        _organization_id.reset(token)


def owner_scope(organization_id: int | None) -> AbstractContextManager[None]:
    """The scope of one organization, or of the installation for None."""
    return installation_scope() if organization_id is None else organization_scope(organization_id)


def organization_in_scope() -> int | None:
    """The organization in scope; None in another scope, or without any."""
    organization_id = _organization_id.get()
    return organization_id if organization_id is not None and organization_id > 0 else None


def scope_in_force() -> str:
    """The scope as PostgreSQL's policies read it: an organization's ID, one of the two constants, or nothing."""
    scope = _organization_id.get()
    return "" if scope is None else str(scope)


def _scope_of(model: type[models.Model]) -> int:
    """The organization in scope, or one of the two constants. Raises NoOrganizationError."""
    organization_id = _organization_id.get()
    if organization_id is None:
        raise NoOrganizationError(f"{model.__name__} was queried without an organization")
    return organization_id


class Prepared(Generic[Result]):
    """A statement about the rows in scope. Its SQL is written at the first run in each kind of scope."""

    def __init__(self, manager: "TenantManager[Any]", compiled: Callable[[Rows], Callable[[Given], Result]]) -> None:
        self._manager, self._compiled = manager, compiled
        self._kept: dict[int, Callable[[Given], Result]] = {}

    def run(self, **given: Any) -> Result:
        """Execute it with a value for each parameter. Raises NoOrganizationError."""
        execute, scope = self._in_scope()
        return execute({**given, ORGANIZATION: scope})

    def run_numbered(self, given: list[Any]) -> Result:
        """Execute it if its parameters are numbered. Raises NoOrganizationError."""
        execute, scope = self._in_scope()
        return execute([*given, scope])

    def _in_scope(self) -> tuple[Callable[[Given], Result], int]:
        scope = _scope_of(self._manager.model)
        key = min(scope, 0)
        if key not in self._kept:
            # Querysets of other tables in the statement must not keep the organization of its first run.
            token = _owner.set(Parameter(ORGANIZATION, "organization_id") if scope > 0 else None)
            try:
                self._kept[key] = self._compiled(self._manager.get_queryset())
            finally:
                _owner.reset(token)
        return self._kept[key], scope


class TenantManager(models.Manager[Model]):
    """The default manager of tenant tables: only rows of the organization, or the installation, in scope.

    The two never see each other's rows: an organization's id is never NULL, the installation's always is.

    `insert`, `insert_all`, `fetch`, `change`, `prepare_select` and `prepare_update` run statements whose SQL is written
    once, at a fifth of a queryset's CPU (`aiinfra/tenants/statements.py`). Use them for what happens in every request.
    """

    def get_queryset(self) -> models.QuerySet[Model]:
        """The scoped rows. Raises NoOrganizationError if no scope is set."""
        scope = _scope_of(self.model)
        rows = super().get_queryset()
        if scope == EVERY_ORGANIZATION:
            return rows
        return rows.filter(organization_id=None if scope == INSTALLATION else _owner.get() or scope)

    def create(self, **values: Any) -> Model:
        """Insert a row. Raises NoOrganizationError if no scope is set or the row belongs to another organization."""
        return self.insert(self.model(**values))

    def insert(self, row: Any) -> Model:
        """Insert an instance; raises as `create` does. It takes values, no expressions, and sends no signals."""
        self.insert_all([row])
        return cast(Model, row)

    def insert_all(self, rows: Sequence[Any]) -> None:
        """Insert instances in one statement; raises as `create` does. All have a primary key, or none has."""
        for row in rows:
            owner = INSTALLATION if row.organization_id is None else row.organization_id
            if _organization_id.get() not in {EVERY_ORGANIZATION, owner}:
                raise NoOrganizationError(f"a {self.model.__name__} was created outside its organization")
        if rows:
            _insert(self.model, len(rows), is_numbered=rows[0].pk is None).run(rows)

    def fetch(self, *related: str, **filters: Any) -> Model | None:
        """The row that matches the filters with its `related` rows, or None. Raises MultipleObjectsReturned.

        `filters` are as in `change`.
        """
        shape, given = shape_of_filters(filters)
        rows = _fetch(self, related, shape).run_numbered(given)
        if len(rows) > 1:
            raise self.model.MultipleObjectsReturned(  # type: ignore[attr-defined]
                f"several {self.model.__name__} match {', '.join(filters)}"
            )
        return rows[0] if rows else None

    def change(self, columns: Mapping[str, Any], **filters: Any) -> int:
        """Update the rows that match the filters; returns their number.

        Columns are set to values, `Plus(amount)` or `UnlessSet(value)`. Filters are columns of this table with one
        lookup at most: `id=`, `state__in=`, `lease_until__lt=`. A list must not be empty. Foreign keys are set and
        compared by ID (`price_id=`).
        """
        shape, values = shape_of_columns(columns)
        filter_shape, given = shape_of_filters(filters)
        return _change(self, shape, filter_shape).run_numbered([*values, *given])

    def prepare_select(self, build: Callable[[models.QuerySet[Model]], Rows]) -> Prepared[list[Model]]:
        """A SELECT that `fetch` does not cover: `build` chooses from the rows in scope.

        A `Parameter` stands for a value that each run gives.
        """
        return Prepared(self, lambda rows: Select(build(rows)).run)

    def prepare_update(self, build: Callable[[models.QuerySet[Model]], Rows], **columns: Any) -> Prepared[int]:
        """An UPDATE that `change` does not cover: of the rows that `build` chooses, with expressions as columns."""
        return Prepared(self, lambda rows: Update(build(rows), columns).run)


_insert = lru_cache(KEPT)(Insert)


@lru_cache(KEPT)
def _fetch(manager: TenantManager[Any], related: tuple[str, ...], filters: Shape) -> Prepared[list[Any]]:
    return manager.prepare_select(
        lambda rows: (rows.select_related(*related) if related else rows).filter(**filters_in(filters))
    )


@lru_cache(KEPT)
def _change(manager: TenantManager[Any], columns: Shape, filters: Shape) -> Prepared[int]:
    first = len(columns)
    return manager.prepare_update(lambda rows: rows.filter(**filters_in(filters, first)), **columns_in(columns))
