"""`/cache/entries/`: lists, shows and removes cache entries."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from redis.exceptions import RedisError

from aiinfra.keyset import page_links, page_or_first
from aiinfra.pages import is_partial, with_toast
from aiinfra.tenants.access import MemberRequest, permission_required
from cache_app import manage
from cache_app.entries import screens
from cache_app.entries.forms import ClearForm, EntryFilterForm, known_models
from cache_app.entries.screens import Listed
from cache_app.pages import note_texts, rights
from cache_app.store import browse

AWAY = "Redis is not responding. Nothing was changed."
ON_ENTRY = "on_entry"
"""Query parameter: the button is on the entry's own page, which is shown next if the entry still exists."""


@permission_required("cache:read")
@require_GET
@vary_on_headers("HX-Request")
def entry_list(request: MemberRequest) -> HttpResponse:
    """A page of entries, newest first. For HTMX only the table."""
    return _list(request)


@permission_required("cache:read")
@require_GET
def entry(request: MemberRequest, entry_id: str) -> HttpResponse:
    """One entry: the question it answers, its origin, and its hits."""
    try:
        found = screens.detail(request.principal.organization_id, entry_id)
    except RedisError:
        return render(request, "cache/entries/away.html", {"entry_id": entry_id})
    if found is None:
        raise Http404
    note_texts(request, f"cache entry {entry_id}")
    return render(request, "cache/entries/entry.html", {"detail": found, "row": found.row, **rights(request)})


@permission_required("cache:write")
@require_POST
def pin(request: MemberRequest, entry_id: str) -> HttpResponse:
    """Pin an entry until it expires."""
    return _act(request, entry_id, "pinned until it expires", pinned=True)


@permission_required("cache:write")
@require_POST
def unpin(request: MemberRequest, entry_id: str) -> HttpResponse:
    """Allow an entry to be evicted again."""
    return _act(request, entry_id, "no longer pinned", pinned=False)


@permission_required("cache:write")
@require_POST
def remove(request: MemberRequest, entry_id: str) -> HttpResponse:
    """Remove one entry."""
    return _act(request, entry_id, "removed")


@permission_required("cache:write")
@require_POST
def clear(request: MemberRequest) -> HttpResponse:
    """Remove entries by tag, by model, or all."""
    form = ClearForm(request.POST, name=request.membership.organization.name)
    if not form.is_valid():
        return _list(request, clear_form=form, status=422)
    try:
        removed = manage.clear(
            organization_id=request.principal.organization_id,
            actor=request.principal.actor,
            tags=form.chosen_tags,
            model=form.chosen_model,
            everything=form.is_everything,
        )
    except RedisError:
        messages.error(request, AWAY)
    else:
        messages.success(request, f"{removed:,} {'entry' if removed == 1 else 'entries'} removed.")
    return redirect("cache_entries")


def _list(request: MemberRequest, *, clear_form: ClearForm | None = None, status: int = 200) -> HttpResponse:
    form, cursor = EntryFilterForm(request.GET), request.GET.get("cursor", "")
    chosen, page = form.chosen(), _page(request, form, cursor)
    note_texts(request, "list of cache entries")
    context: dict[str, Any] = {
        "page": page,
        "is_filtered": bool(chosen),
        **page_links(chosen, cursor, page.cursor if page else ""),
        **rights(request),
    }
    if is_partial(request):
        return render(request, "cache/entries/_entries.html", context, status=status)
    return render(
        request, "cache/entries/entries.html", {**context, **_frame(request, form, clear_form)}, status=status
    )


def _frame(request: MemberRequest, form: EntryFilterForm, clear_form: ClearForm | None) -> dict[str, Any]:
    name = request.membership.organization.name
    return {
        "form": form,
        "clear_form": clear_form or ClearForm(name=name),
        "total": _total(request.principal.organization_id),
        "known_models": known_models(),
    }


def _page(request: MemberRequest, form: EntryFilterForm, cursor: str) -> Listed | None:
    """The first page if the cursor is invalid; None while Redis is down."""
    listed = partial(screens.listed, request.principal.organization_id, form.narrowed())
    try:
        return page_or_first(listed, cursor)
    except RedisError:
        return None


def _total(organization_id: int) -> int | None:
    try:
        return browse.count(organization_id)
    except RedisError:
        return None


def _act(request: MemberRequest, entry_id: str, done: str, *, pinned: bool | None = None) -> HttpResponse:
    """Pin, unpin, or (None) remove an entry. The URL carries the list's filters."""
    organization_id, actor = request.principal.organization_id, request.principal.actor
    try:
        if pinned is None:
            is_known = manage.remove_entry(organization_id=organization_id, entry_id=entry_id, actor=actor)
        else:
            is_known = manage.pin(organization_id=organization_id, entry_id=entry_id, pinned=pinned, actor=actor)
    except RedisError:
        return with_toast(request, _after(request, entry_id), "error", AWAY)
    if not is_known:
        raise Http404
    return with_toast(request, _after(request, "" if pinned is None else entry_id), "success", f"Entry {done}.")


def _after(request: MemberRequest, entry_id: str) -> HttpResponse:
    if request.htmx:
        return _list(request)
    if entry_id and ON_ENTRY in request.GET:
        return redirect("cache_entry", entry_id)
    filters = "" if ON_ENTRY in request.GET else request.GET.urlencode()
    return redirect(f"{reverse('cache_entries')}?{filters}" if filters else "cache_entries")
