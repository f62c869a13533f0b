"""Erases message content about a user, or all messages of an organization."""

import json
import re
from collections.abc import Callable
from typing import Any

from django.db import transaction

from aiinfra.notifications.models import Delivery

ERASED: dict[str, Any] = {"title": "Erased", "text": "", "facts": [], "data": {}}


def erase_messages(user_ref: str, count: Callable[[str, int], None]) -> None:
    """Empty the messages in the scope that name the user; all of them for "". A second run finds nothing."""
    name = re.compile(rf"(?<!\w){re.escape(user_ref)}(?!\w)")
    for row in Delivery.objects.exclude(payload__title=ERASED["title"]).iterator():
        if name.search(json.dumps(row.payload, ensure_ascii=False)):
            with transaction.atomic():
                payload = {**row.payload, **ERASED}
                count("notifications", Delivery.objects.filter(pk=row.pk).update(payload=payload))
