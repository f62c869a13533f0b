"""The queue pages: the live queue, the list of requests, one request."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseStopPolling

from aiinfra.chart_views import ChartPage, chart_views
from aiinfra.csv_stream import csv_response
from aiinfra.keyset import page_links, page_or_first
from aiinfra.pages import is_partial, kept_by_open_pages, with_toast
from aiinfra.plurals import plural
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.security_log.reading import note_reading
from aiinfra.tenants.staff import StaffRight, has_right
from cache_app import create_semantic_cache
from cost_app.facade import BudgetRefusedError, ModelNotPricedError
from queue_app import control
from queue_app.archive.showing import archived_between, archived_with
from queue_app.models import ENDED, LIVE, AIRequest
from queue_app.pages.export import COLUMNS, exported
from queue_app.pages.forms import LaneForm, RequestFilterForm
from queue_app.pages.screens import RequestRow, changed_rows, live_queue, request_rows, timeline
from queue_app.pages.truncation import shown_content
from queue_app.queries import request_by_id, status_of
from queue_app.request_lists import NEWER_MAX, PAGE_SIZE, RequestFilter, Sums, count_newer, cursor_of, page_of
from queue_app.stats.figures import CHARTS, STAFF_CHARTS

cache = create_semantic_cache()

REFUSALS = (control.WrongStatusError, control.ContentGoneError, ModelNotPricedError, BudgetRefusedError)

Action = Callable[..., None]


@permission_required("queue:read")
@require_GET
@vary_on_headers("HX-Request")
@kept_by_open_pages
def live(request: MemberRequest) -> HttpResponse:
    """The live queue. For HTMX everything but the charts, which fetch their own figures."""
    return render(request, _template(request, "queue/_live.html", "queue/live.html"), _live_context(request))


def _chart(request: MemberRequest, name: str) -> ChartPage:
    charts = {**CHARTS, **STAFF_CHARTS} if has_right(request.user, StaffRight.OPERATE_QUEUES) else CHARTS
    if name not in charts:
        raise Http404
    draw = partial(charts[name], request.principal.organization_id)
    return ChartPage(f"{capfirst(name)}, the last hour", draw, reverse("queue_live"), "Queue")


figure, figure_table = chart_views("queue:read", _chart)


@permission_required("queue:admin")
@require_POST
def pause_lane(request: MemberRequest) -> HttpResponse:
    """Stop starting requests of one priority, or of all."""
    return _switch_lane(request, control.pause, "paused")


@permission_required("queue:admin")
@require_POST
def resume_lane(request: MemberRequest) -> HttpResponse:
    """Resume a priority, or all of them."""
    return _switch_lane(request, control.resume, "resumed")


@permission_required("queue:read")
@require_GET
@vary_on_headers("HX-Request")
def request_list(request: MemberRequest) -> HttpResponse:
    """A page of requests; for HTMX the table alone."""
    return _list(request)


@permission_required("queue:read")
@require_GET
@kept_by_open_pages
def request_changes(request: MemberRequest) -> HttpResponse:
    """What has changed since a list was rendered. `rows` has its lines and their versions, `newest` the first one."""
    form = RequestFilterForm(request.GET)
    chosen = form.chosen()
    context = {
        "rows": changed_rows(request.GET.get("rows", "")),
        "news": _newer(form.narrowed(), request.GET.get("newest", "")),
        "filters": urlencode(chosen),
        "here": urlencode(chosen),
        "newest": request.GET.get("newest", ""),
        "most_newer": NEWER_MAX,
        "can_write": request.principal.can("queue:write"),
    }
    return render(request, "queue/_request_changes.html", context)


@permission_required("queue:read")
@require_GET
def export_requests(request: MemberRequest) -> HttpResponseBase:
    """The filtered list as CSV: at most `EXPORTED_MAX` requests, and no prompts or answers."""
    narrowed = RequestFilterForm(request.GET).narrowed()
    zone = timezone.get_current_timezone()  # the organization's, which is no longer set while the response is sent
    return csv_response(request.principal.organization_id, "requests.csv", COLUMNS, lambda: exported(narrowed, zone))


@permission_required("queue:write")
@require_POST
def cancel_requests(request: MemberRequest) -> HttpResponse:
    """Cancel the selected requests of a list. The URL carries the list's filters."""
    return _act_on_list(request, control.cancel, "cancelled")


@permission_required("queue:write")
@require_POST
def retry_requests(request: MemberRequest) -> HttpResponse:
    """Run the selected requests of a list again."""
    return _act_on_list(request, control.retry, "queued again")


@permission_required("queue:read")
@require_GET
@vary_on_headers("HX-Request")
def request_detail(request: MemberRequest, request_id: UUID) -> HttpResponse:
    """One request. For HTMX only the parts that can change, with status 286 once nothing will."""
    if month := archived_with(request_id) if request_by_id(request_id) is None else None:
        return render(request, "queue/archived.html", {"month": month}, status=404)
    found = _found(request_id)
    asks_part = is_partial(request)
    context = _detail_context(request, found, is_partial=asks_part)
    response = render(request, "queue/_request.html" if asks_part else "queue/request.html", context)
    return HttpResponseStopPolling(response.content) if asks_part and found.status in ENDED else response


@permission_required("queue:write")
@require_POST
def cancel_request(request: MemberRequest, request_id: UUID) -> HttpResponse:
    """End one request without an answer."""
    return _act_on_one(request, request_id, control.cancel, "Request cancelled.")


@permission_required("queue:write")
@require_POST
def retry_request(request: MemberRequest, request_id: UUID) -> HttpResponse:
    """Run one request again."""
    return _act_on_one(request, request_id, control.retry, "Request queued again.")


def _live_context(request: MemberRequest) -> dict[str, Any]:
    return {
        "live": live_queue(),
        "can_pause": request.principal.can("queue:admin"),
        "api_url": request.build_absolute_uri("/api/ai/queue"),
    }


def _switch_lane(request: MemberRequest, switch: Callable[..., list[int]], done: str) -> HttpResponse:
    form = LaneForm(request.POST)
    if not form.is_valid():
        return with_toast(request, _live_again(request, status=422), "error", "Unknown priority.")
    priority = form.chosen()
    switch(request.principal.organization_id, priority, actor=request.principal.actor)
    lane = f"Priority {priority.label.lower()} is" if priority else "All priorities are"
    return with_toast(request, _live_again(request), "success", f"{lane} {done}.")


def _live_again(request: MemberRequest, status: int = 200) -> HttpResponse:
    if not request.htmx:
        return redirect("queue_live")
    return render(request, "queue/_live.html", _live_context(request), status=status)


def _list(request: MemberRequest) -> HttpResponse:
    form = RequestFilterForm(request.GET)
    cursor = request.GET.get("cursor", "")
    narrowed = form.narrowed()
    page = page_or_first(partial(page_of, narrowed), cursor)
    chosen = form.chosen()
    context = {
        "form": form,
        "archived": archived_between(narrowed.since, narrowed.until),
        "rows": request_rows(page),
        "is_filtered": bool(chosen),
        **page_links(chosen, cursor, page.next_cursor or ""),
        "is_watched": not cursor and "order" not in chosen,
        "newest": cursor_of(page.requests[0]) if page.requests else "",
        "can_write": request.principal.can("queue:write"),
    }
    return render(request, _template(request, "queue/_requests.html", "queue/requests.html"), context)


def _newer(narrowed: RequestFilter, cursor: str) -> int:
    """None for an invalid cursor."""
    try:
        return count_newer(narrowed, cursor)
    except ValueError:
        return 0


def _act_on_list(request: MemberRequest, act: Action, done: str) -> HttpResponse:
    """A row's button names its request as `only`; the buttons above the table act on the checked rows."""
    chosen = (request.POST.getlist("only") or request.POST.getlist("id"))[:PAGE_SIZE]
    found = [each for each in map(request_by_id, chosen) if each]
    problems = list(filter(None, [_problem_of(request, act, each) for each in found]))
    address = f"{reverse('queue_requests')}?{request.GET.urlencode()}"
    response = _list(request) if request.htmx else redirect(address)
    return with_toast(request, response, *_summary(len(found) - len(problems), problems, done))


def _problem_of(request: MemberRequest, act: Action, found: AIRequest) -> str:
    """Run the action. Returns why it was refused, or nothing."""
    try:
        act(found, actor=request.principal.actor)
    except REFUSALS as error:
        return str(error)
    return ""


def _summary(count: int, problems: list[str], done: str) -> tuple[str, str]:
    """Level and text of the toast about several requests."""
    if not count and not problems:
        return "warning", "No request was selected."
    said = [f"{plural(count, 'request')} {done}."] if count else []
    if problems:
        said.append(f"{len(problems)} skipped: {' '.join(sorted(set(problems)))}")
    return ("warning" if count else "error") if problems else "success", " ".join(said)


def _act_on_one(request: MemberRequest, request_id: UUID, act: Action, done: str) -> HttpResponse:
    found = _found(request_id)
    problem = _problem_of(request, act, found)
    if not request.htmx:
        response: HttpResponse = redirect("queue_request", found.id)
    else:
        context = _detail_context(request, _found(request_id), is_partial=True)
        response = render(request, "queue/_request.html", context, status=422 if problem else 200)
    return with_toast(request, response, "error" if problem else "success", problem or done)


def _found(request_id: UUID) -> AIRequest:
    found = request_by_id(request_id)
    if found is None:
        raise Http404
    return found


def _detail_context(request: MemberRequest, found: AIRequest, *, is_partial: bool) -> dict[str, Any]:
    """While the request runs a partial is polled; the page keeps the prompt that it already has."""
    can_read = request.principal.can("content:read")
    is_poll = is_partial and found.status in LIVE
    status = status_of(found, with_content=can_read and not is_poll)
    if status.messages is not None:
        note_reading(request.principal, f"request {found.id}")
    return {
        "status": status,
        "row": RequestRow(found, Sums(status.cost_nano)),
        "steps": timeline(found, status.attempts),
        **shown_content(status),
        "hit": cache.hit_of(found.id) if found.cached else None,
        "is_partial": is_partial,
        "can_read": can_read,
        "can_write": request.principal.can("queue:write"),
    }


def _template(request: MemberRequest, partial: str, page: str) -> str:
    return partial if is_partial(request) else page
