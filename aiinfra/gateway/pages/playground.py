"""`/playground/`: sends a real call through `/v1/chat/completions` and shows every step."""

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from aiinfra.gateway.pages.playground_form import PlaygroundForm
from aiinfra.gateway.pages.steps import steps_of
from aiinfra.gateway.v1.models import alias_names, chat_models, named
from aiinfra.tenants.access import MemberRequest, permission_required
from queue_app.facade import ENDED, request_by_id

QUOTED = {
    "most": "Maximum cost per attempt",
    "expected": "Expected cost",
    "route": "Model",
    "fallbacks": "Fallbacks",
    "left": "Left in the budgets",
    "position": "Place in the queue",
}
"""What the page shows of a dry run."""
WHAT_TO_DO = {
    "stopped": "What the provider had answered by then is charged.",
    "400": "Change the form and try again.",
    "402": "A budget refuses this call. Lower the maximum output tokens, select a cheaper model, or raise the budget.",
    "404": "Select another model. If only the cache was asked, it has no answer.",
    "409": "The request ended without an answer. Its page says why.",
    "413": "Shorten the message.",
    "422": "This model has no price, so its cost can't be limited. Select another one.",
    "429": "Too much is going on right now. Try again in a moment.",
    "502": "The provider failed. The page of the request shows every attempt.",
    "503": "The service or the provider is overloaded. Try again in a moment.",
    "504": "No answer in time. The page of the request shows whether it goes on.",
}
"""Status of an error, or how a call was ended -> what helps. The error itself says what happened."""


@permission_required("chat:write")
@require_GET
def playground(request: MemberRequest) -> HttpResponse:
    """The form. Scripts send it to the same endpoint as any client."""
    own = alias_names(request.principal.organization_id)
    form = PlaygroundForm(aliases=own, models=[name for name, _ in named(chat_models())])
    context = {"form": form, "quoted": QUOTED, "what_to_do": WHAT_TO_DO}
    return render(request, "gateway/playground.html", context)


@permission_required("queue:read")
@require_GET
def request_steps(request: MemberRequest, request_id: UUID) -> HttpResponse:
    """The steps of one request; they refresh until it has ended."""
    found = request_by_id(request_id)
    if found is None:
        raise Http404
    context = {"asked": found, "steps": steps_of(found), "is_live": found.status not in ENDED}
    return render(request, "gateway/_steps.html", context)
