"""The shape of a statement: what its SQL depends on. Statements of one shape share their SQL.

The values of a shape are numbered: those of the columns first, then those of the filters.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.db.models.functions import Coalesce

from aiinfra.tenants.statements import Parameter

Shape = tuple[tuple[str, Any], ...]
"""Each column with its kind of change, or each filter with its number of values (None: it has one)."""


@dataclass(frozen=True)
class Relative:
    """A new value of a column that depends on its current one."""

    value: Any

    @staticmethod
    def expression(column: str, value: Any) -> Any:
        """The SQL for it."""
        raise NotImplementedError


class Plus(Relative):
    """The current value plus this one."""

    @staticmethod
    def expression(column: str, value: Any) -> Any:
        """The SQL for it."""
        return F(column) + value


class UnlessSet(Relative):
    """This value if the current one is NULL."""

    @staticmethod
    def expression(column: str, value: Any) -> Any:
        """The SQL for it."""
        return Coalesce(column, value)


def shape_of_columns(columns: Mapping[str, Any]) -> tuple[Shape, list[Any]]:
    """The shape of what is set, and its values."""
    shape: list[tuple[str, Any]] = []
    values = []
    for name, value in columns.items():
        is_relative = isinstance(value, Relative)
        shape.append((name, type(value) if is_relative else None))
        values.append(value.value if is_relative else value)
    return tuple(shape), values


def columns_in(shape: Shape) -> dict[str, Any]:
    """What is set, with parameters as values."""
    columns = {}
    for position, (name, relative) in enumerate(shape):
        parameter = Parameter(position, name)
        columns[name] = relative.expression(name, parameter) if relative else parameter
    return columns


def shape_of_filters(filters: Mapping[str, Any]) -> tuple[Shape, list[Any]]:
    """The shape of the filters, and their values."""
    shape: list[tuple[str, Any]] = []
    values: list[Any] = []
    for name, value in filters.items():
        if value is None:
            shape.append((name, 0))
        elif isinstance(value, Collection) and not isinstance(value, (str, bytes)):
            shape.append((name, len(value)))
            values += value
        else:
            shape.append((name, None))
            values.append(value)
    return tuple(shape), values


def filters_in(shape: Shape, first: int = 0) -> dict[str, Any]:
    """The filters, with parameters as values, numbered from `first`."""
    filters: dict[str, Any] = {}
    position = first
    for name, count in shape:
        column = name.partition("__")[0]
        parameters = [Parameter(position + each, column) for each in range(1 if count is None else count)]
        filters[name] = parameters[0] if count is None else parameters or None
        position += len(parameters)
    return filters
