"""A form that edits something refuses to overwrite what somebody else has changed since it was opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property, wraps
from typing import Any

from django import forms
from django.db import transaction
from django.http.response import HttpResponseBase

from aiinfra.once import digest_of
from aiinfra.tenants.access import MemberRequest
from aiinfra.tenants.models import Organization

FIELD = "version"
CHANGED_MEANWHILE = "This was changed after you opened it."


class EditForm(forms.Form):
    """Base of a form over something that exists; its initial values are what is stored now, also when it is posted.

    `_form_errors.html` renders `version`, a hash of the stored values. A post with another one is invalid, and its
    error lists what is stored; sending the form again, with the version of that answer, overwrites. A post without a
    version is not checked: it comes from a program that has seen no form. Run the view through `one_edit_at_a_time`, so
    that nothing changes between the check and the write.
    """

    @cached_property
    def version(self) -> str:
        """Names the stored values."""
        return digest_of(*(f"{name}={self._stored(name)}" for name in self.fields))[:16]

    def full_clean(self) -> None:
        """As Django's; then refuse an old version."""
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
        """The stored values that differ from those in the form, in words."""
        shown = [f"{self[name].label}: {self._in_words(name)}" for name in self.changed_data if name in self.fields]
        return f"Current values: {'; '.join(shown)}." if shown else "Your values are the current ones."

    def _in_words(self, name: str) -> str:
        value, field = self.get_initial_for_field(self.fields[name], name), self.fields[name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        labels = dict(getattr(field, "choices", None) or [])
        return str(labels.get(value, "empty" if value in (None, "") else value))


class RecordForm(EditForm, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Base of the forms of raw records; a new record has no version."""

    @cached_property
    def version(self) -> str:
        """Names the stored values; empty for a record that is being added."""
        return "" if self.instance._state.adding else super().version


@contextmanager
def one_edit(organization_id: int) -> Iterator[None]:
    """One edit of an organization's settings at a time. Calls go on: they need no more of this row than its key."""
    with transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(id=organization_id)
        yield


def one_edit_at_a_time(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Run the posts of a view in turn: what a form has checked still holds when it is saved."""

    @wraps(view)
    def in_turn(request: MemberRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        with one_edit(request.principal.organization_id):
            return view(request, *args, **kwargs)

    return in_turn
