"""What Django checks before any command runs: that the settings name parts which there are."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from cache_app.embedding.registry import EMBEDDERS
from cache_app.index.registry import INDEXES


def check_settings(**_: Any) -> list[CheckMessage]:
    """A wrong name would else be an error at the first look-up."""
    named = {"CACHE_EMBEDDER": EMBEDDERS, "CACHE_INDEX": INDEXES}
    return [
        Error(f"{name}: {getattr(settings, name)!r} is none of {', '.join(known)}", id=f"cache_app.{name}")
        for name, known in named.items()
        if getattr(settings, name) not in known
    ]
