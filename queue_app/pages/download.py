"""The content of a request as a file."""

import json
from uuid import UUID

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.security_log.reading import note_reading
from queue_app.queries import request_by_id, status_of


@permission_required("content:read")
@require_GET
def request_content(request: MemberRequest, request_id: UUID) -> HttpResponse:
    """The whole prompt, its parameters, and the answer as JSON. 404 without the content, which retention deletes."""
    found = request_by_id(request_id)
    status = status_of(found, with_content=True) if found else None
    if status is None or status.messages is None:
        raise Http404
    note_reading(request.principal, f"request {request_id}")
    content = {"messages": status.messages, "parameters": status.parameters, "response": status.response}
    response = HttpResponse(json.dumps(content, indent=2, ensure_ascii=False), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="request_{request_id.hex}.json"'
    return response
