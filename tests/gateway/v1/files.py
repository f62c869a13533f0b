"""Uploads batch files as OpenAI's clients do."""

import json
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse

from tests.api.support import FILES, Caller


def line(custom_id: str = "a", text: str = "What is a queue?", **changes: Any) -> dict[str, Any]:
    """One call of a batch."""
    body = {"model": "deepseek-chat", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body, **changes}


def jsonl(*lines: Any) -> bytes:
    """The lines as the content of a file."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def upload(caller: Caller, content: bytes, **fields: str) -> HttpResponse:
    """Send the form that OpenAI's clients send."""
    file = SimpleUploadedFile("calls.jsonl", content)
    form = {"purpose": "batch", "file": file, **fields}
    headers = {name: form.pop(name) for name in list(form) if name[0].isupper()}
    return caller.client.post(FILES, form, headers={**caller.headers, **headers})


def uploaded(caller: Caller, content: bytes) -> dict[str, Any]:
    """Upload a file. Returns its object."""
    response = upload(caller, content)
    assert response.status_code == 200, response.content
    found: dict[str, Any] = json.loads(response.content)
    return found
