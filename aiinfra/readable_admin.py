"""Base classes for raw-records pages: dollar amounts, JSON as text, and lists that never count a whole table."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from aiinfra import epochs
from aiinfra.edit_forms import RecordForm
from aiinfra.templatetags.formats import NOTHING, money
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record

COUNT_MAX = 10_000
"""Lists count at most this many rows: counting a year's ledger takes seconds."""

Display = Callable[[models.Model], str | SafeString]


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Pages of the first 10,000 rows; use search and filters for the rest."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or 10,000 if there are more."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNT_MAX].count())


class LoggedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Also writes Django's record history to the security log, and starts a new epoch for each change."""

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Note an added record."""
        self._note(Event.ADMIN_ADDED, request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Note a changed record, and the names of the fields that changed."""
        self._note(Event.ADMIN_CHANGED, request, obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Note deleted records."""
        for row in queryset:
            self._note(Event.ADMIN_DELETED, request, row)
        return super().log_deletions(request, queryset)

    def _note(self, event: Event, request: HttpRequest, row: models.Model, message: Any = "") -> None:
        details = {"change": message} if message else {}
        target = f"{self.opts.verbose_name} {row.pk}: {row}"
        record(event, actor=f"user:{request.user.get_username()}", target=target, details=details)
        epochs.change(None)


class ReadableAdmin(LoggedAdmin):
    """Shows every `…_nano` column, and those named in `amounts`, in US dollars, and JSON columns line by line.

    List the columns themselves; they are replaced by their readable form.
    """

    form = RecordForm
    amounts: Sequence[str] = ()
    show_full_result_count = False
    paginator = BoundedPaginator

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self._readable: dict[str, Display] = {}
        for field in model._meta.concrete_fields:
            if field.name in self.amounts or is_amount(field.name):
                self._readable[field.name] = _amount_display(field)
            elif isinstance(field, models.JSONField):
                self._readable[field.name] = _json_display(field)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns of the list in their readable form."""
        return [self._readable.get(str(name), name) for name in super().get_list_display(request)]

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[Any]:
        """The form's fields, in readable form where they are read-only."""
        fields: list[Any] = list(super().get_fields(request, obj))
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return [self._readable.get(str(name), name) for name in fields]


class NoWritesMixin:
    """Rows can't be added, changed or deleted: only the program writes them."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Never."""
        return False


def is_amount(name: str) -> bool:
    """Whether a column, or a key of JSON, contains nano-dollars."""
    return name == "nano" or name.endswith("_nano")


def _amount_display(field: "models.Field[Any, Any]") -> Display:
    label = field.name.removesuffix("_nano").replace("nano", "amount").replace("_", " ")

    @admin.display(description=label, ordering=field.name)
    def display(row: models.Model) -> str:
        return money(getattr(row, field.name))

    return display


def _json_display(field: "models.Field[Any, Any]") -> Display:
    @admin.display(description=str(field.verbose_name))
    def display(row: models.Model) -> str | SafeString:
        value = getattr(row, field.name)
        if not value:
            return NOTHING
        return format_html("<pre>{}</pre>", json.dumps(_in_dollars(value), indent=1, ensure_ascii=False, default=str))

    return display


def _in_dollars(value: Any, *, is_money: bool = False) -> Any:
    if isinstance(value, dict):
        return {key: _in_dollars(part, is_money=is_money or is_amount(str(key))) for key, part in value.items()}
    if isinstance(value, list):
        return [_in_dollars(part, is_money=is_money) for part in value]
    return money(value) if is_money and isinstance(value, int) and not isinstance(value, bool) else value
