"""Forms with optimistic locking: they don't overwrite another person's change made since the form was opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property, wraps
from typing import Any

from django import forms
from django.db import connection, transaction
from django.http.response import HttpResponseBase

from aiinfra.idempotency import digest_of
from aiinfra.tenants.access import MemberRequest
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_in_scope

FIELD = "version"
INSTALLATION_LOCK = 7_200_451
"""Distinguishes this advisory lock of PostgreSQL from others in the database."""
CHANGED_MEANWHILE = "This was changed after you opened it."


class EditForm(forms.Form):
    """Base of forms that edit something; initial values are the stored ones, even when the form is posted.

    `_form_errors.html` renders `version`, a hash of the stored values. A post with an outdated version is invalid, and
    its error lists the stored values; submitting the form again, with the new version, overwrites them. A post without
    a version is not checked: it comes from a program that never saw the form. Wrap the view in `one_edit_at_a_time`, so
    that nothing changes between validation and the write.
    """

    @cached_property
    def version(self) -> str:
        """Identifies the stored values."""
        return digest_of(*(f"{name}={self._stored(name)}" for name in self.fields))[:16]

    def full_clean(self) -> None:
        """Clean as Django does, then reject an outdated version."""
        super().full_clean()
        seen = self.data.get(self.add_prefix(FIELD))
        if self.is_bound and seen and seen != self.version:
            self.add_error(None, f"{CHANGED_MEANWHILE} {self._now()} Save again to replace it with your values.")

    def _stored(self, name: str) -> str:
        value = self.get_initial_for_field(self.fields[name], name)
        if isinstance(value, Decimal):
            value = f"{value.normalize():f}"
        return str(self.fields[name].prepare_value(value))

    def _now(self) -> str:
        """The stored values that differ from the submitted ones, as text."""
        shown = [f"{self[name].label}: {self._in_words(name)}" for name in self.changed_data if name in self.fields]
        return f"Current values: {'; '.join(shown)}." if shown else "Your values match the current ones."

    def _in_words(self, name: str) -> str:
        value, field = self.get_initial_for_field(self.fields[name], name), self.fields[name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        labels = dict(getattr(field, "choices", None) or [])
        return str(labels.get(value, "empty" if value in (None, "") else value))


class RecordForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Base class for admin forms; a new record has no version."""

    @cached_property
    def version(self) -> str:
        """Identifies the stored values; empty for a new record."""
        return "" if self.instance._state.adding else super().version


@contextmanager
def one_edit(organization_id: int | None) -> Iterator[None]:
    """Allow one edit of the settings of an organization, or of the installation for None, at a time.

    Calls continue: they lock only the organization's key. On SQLite, the transaction itself is the lock.
    """
    with transaction.atomic():
        if organization_id is not None:
            Organization.objects.select_for_update(no_key=True).get(id=organization_id)
        elif connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALLATION_LOCK])
        yield


def one_edit_at_a_time(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Serialize a view's POST requests, so that what a form validated still holds when it is saved."""

    @wraps(view)
    def in_turn(request: MemberRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        with one_edit(organization_in_scope()):
            return view(request, *args, **kwargs)

    return in_turn
