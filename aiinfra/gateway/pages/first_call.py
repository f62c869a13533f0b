"""`/first-call/`: code snippets with a new API key, and a section that waits for the first call."""

import re
from datetime import UTC, datetime, timedelta

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.gateway.pages.snippets import NO_KEY, snippets
from aiinfra.row_ids import is_row_id
from aiinfra.tenants import keys, new_secret
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey
from queue_app.facade import first_with_key

KEY_NAME = "First call"
SCOPES = ["chat:write", "queue:read", "queue:write"]
KEY_ID = re.compile(r"[0-9A-Za-z]{8}")
WAITS = timedelta(days=1)
"""How far back the page looks for the first call."""


@permission_required("queue:read")
@never_cache
@require_GET
def first_call(request: MemberRequest) -> HttpResponse:
    """The snippets, with the key if it was just created. `?key=` is the key to wait for."""
    key_id, text = new_secret.take(request)
    made = ApiKey.objects.filter(key_id=key_id).first()
    context = {
        "snippets": snippets(request.build_absolute_uri("/").rstrip("/"), text or NO_KEY),
        "made": made,
        "text": text,
        "can_create": request.principal.can("key:manage"),
        **_waiting(request),
    }
    response = render(request, "gateway/first_call.html", context)
    if text:
        new_secret.forget(response, reverse("first_call"))
    return response


@permission_required("key:manage")
@never_cache
@require_POST
def create_key(request: MemberRequest) -> HttpResponse:
    """Create a key that can send calls. The next page shows its secret and waits for its first call."""
    key, text = keys.create_key(
        organization=request.membership.organization,
        name=KEY_NAME,
        role=Role.OPERATOR,
        scopes=SCOPES,
        created_by=request.user,
        actor=request.principal.actor,
    )
    page = reverse("first_call")
    return new_secret.hand_over(request, redirect(f"{page}?key={key.key_id}"), key, text, page)


@permission_required("queue:read")
@require_GET
def waiting(request: MemberRequest) -> HttpResponse:
    """Whether the call has arrived; refreshes until it has."""
    return render(request, "gateway/_waiting.html", _waiting(request))


def _waiting(request: MemberRequest) -> dict[str, object]:
    """The first call of the key in the URL, or of any key since the page was opened."""
    key_id = request.GET.get("key", "")
    key = ApiKey.objects.filter(key_id=key_id).first() if KEY_ID.fullmatch(key_id) else None
    since = max(key.created_at if key else _since(request), timezone.now() - WAITS)
    found = first_with_key(since, key.pk if key else None)
    return {"key": key, "found": found, "since": int(since.timestamp())}


def _since(request: MemberRequest) -> datetime:
    text = request.GET.get("since", "")
    now = timezone.now()
    return min(now, datetime.fromtimestamp(int(text), UTC)) if is_row_id(text) and len(text) < 12 else now
