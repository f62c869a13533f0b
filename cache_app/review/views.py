"""`/cache/review/`: were these answers right?"""

from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aiinfra.keyset import page_links, page_or_first
from aiinfra.pages import with_toast
from aiinfra.tenants.access import MemberRequest, permission_required
from cache_app.learning.judging import judge
from cache_app.models import CacheHit, Judgement
from cache_app.pages import note_texts, rights
from cache_app.review import screens
from cache_app.review.screens import Pair

DONE = {
    Judgement.RIGHT: "Judged right.",
    Judgement.WRONG: "Judged wrong: this answer is no longer served for this question.",
}


@permission_required("cache:read")
@require_GET
def review(request: MemberRequest) -> HttpResponse:
    """Reported and doubtful pairs side by side, or those that are not judged yet."""
    kind, cursor = request.GET.get("show", ""), request.GET.get("cursor", "")
    kind = kind if kind in screens.KINDS else screens.DEFAULT_KIND
    note_texts(request, "review of cache hits")
    page = page_or_first(partial(screens.hits_of, kind), cursor)
    context: dict[str, Any] = {
        "kind": kind,
        "kinds": _kinds(),
        "pairs": [Pair.of(hit, with_content=request.principal.can("content:read")) for hit in page.rows],
        **page_links({"show": kind}, cursor, page.next_cursor),
        **rights(request),
    }
    return render(request, "cache/review/review.html", context)


@permission_required("cache:write")
@require_POST
def judgement(request: MemberRequest, hit_id: UUID) -> HttpResponse:
    """Judge an answer as right or wrong. The URL carries the list's filters."""
    get_object_or_404(CacheHit, id=hit_id)
    said, organization_id = request.POST.get("judgement"), request.principal.organization_id
    if said not in DONE:
        return HttpResponse("judgment: right or wrong", status=422, content_type="text/plain")
    is_right = said == Judgement.RIGHT
    hit = judge(organization_id=organization_id, hit_id=hit_id, is_right=is_right, actor=request.principal.actor)
    return with_toast(request, _after(request, hit), "success", DONE[Judgement(said)])


def _after(request: MemberRequest, hit: CacheHit) -> HttpResponse:
    if not request.htmx:
        return redirect(f"{reverse('cache_review')}?{request.GET.urlencode()}")
    pair = Pair.of(hit, with_content=request.principal.can("content:read"))
    context = {"pair": pair, "hit": hit, "is_judged": True, "here": request.GET.urlencode(), **rights(request)}
    return render(request, "cache/review/_pair.html", context)


def _kinds() -> list[tuple[str, str, int]]:
    counted = screens.count_hits()
    return [(kind, title, counted[kind]) for kind, title in screens.TITLES.items()]
