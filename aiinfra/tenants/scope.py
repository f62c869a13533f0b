"""Limits which rows the running code may see.

Every tenant table is read through `TenantManager`, which adds the organization of the current request or job and raises
if none is set: a forgotten scope is an error, never a leak.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from django.db import models

EVERY_ORGANIZATION = -1
INSTALLATION = -2
_organization_id: ContextVar[int | None] = ContextVar("organization_id", default=None)

Model = TypeVar("Model", bound=models.Model, covariant=True)


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
    """The organization that the running code may see; None in another scope, or without any."""
    organization_id = _organization_id.get()
    return organization_id if organization_id is not None and organization_id > 0 else None


class TenantManager(models.Manager[Model]):
    """The default manager of tenant tables: only rows of the organization, or the installation, in scope.

    The two never see each other's rows: an organization's id is never NULL, the installation's always is.
    """

    def get_queryset(self) -> models.QuerySet[Model]:
        """The scoped rows. Raises NoOrganizationError if no scope is set."""
        organization_id = _organization_id.get()
        if organization_id is None:
            raise NoOrganizationError(f"{self.model.__name__} was queried without an organization")
        rows = super().get_queryset()
        if organization_id == EVERY_ORGANIZATION:
            return rows
        return rows.filter(organization_id=None if organization_id == INSTALLATION else organization_id)

    def create(self, **values: Any) -> Model:
        """Insert a row. Raises NoOrganizationError if no scope is set or the row belongs to another organization."""
        return self.insert(self.model(**values))

    def insert(self, row: Any) -> Model:
        """Insert an existing instance; raises as `create` does."""
        owner = INSTALLATION if row.organization_id is None else row.organization_id
        if _organization_id.get() not in {EVERY_ORGANIZATION, owner}:
            raise NoOrganizationError(f"a {self.model.__name__} was created outside its organization")
        row.save(force_insert=True)
        return cast(Model, row)
