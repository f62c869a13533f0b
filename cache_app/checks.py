"""System checks: the settings must name an existing embedder and index."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from cache_app.embedding.registry import EMBEDDERS
from cache_app.index.registry import INDEXES


def check_settings(**_: Any) -> list[CheckMessage]:
    """A wrong name would otherwise fail only at the first lookup."""
    named = {"CACHE_EMBEDDER": EMBEDDERS, "CACHE_INDEX": INDEXES}
    return [
        Error(f"{name}: {getattr(settings, name)!r} is not one of {', '.join(known)}", id=f"cache_app.{name}")
        for name, known in named.items()
        if getattr(settings, name) not in known
    ]
