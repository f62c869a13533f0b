"""Which models and endpoints an API key may use, and the defaults for its calls."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aiinfra.names import TAG_LENGTH, check_visible, normal_names
from aiinfra.webhook_urls import host_of

MODELS_MAX = 100
TAGS_MAX = 10
MODEL_PATTERN = r"^[!-+\--Z\\^-~]{1,161}$"
"""Printable ASCII without spaces, commas, and brackets."""
DOORS = {
    "chat": "/api/ai/chat",
    "queue": "/api/ai/queue (new requests)",
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "embeddings": "/v1/embeddings",
}
"""Name of each endpoint that sends calls -> its label."""
PRIORITIES = ("low", "normal", "high", "critical")


@dataclass(frozen=True)
class KeyAccess:
    """What a key may use. Empty means everything."""

    models: tuple[str, ...] = ()
    """`model`, `provider/model`, or either with `*` for any characters."""
    doors: tuple[str, ...] = ()
    """Names in `DOORS`."""
    tags: tuple[str, ...] = ()
    """Added to those of each call."""
    priority: str = ""
    """Of calls that name none; empty: normal."""
    webhook: str = ""
    """URL that is notified when a request that names none ends; as secret as the key."""

    def allows_model(self, provider: str, model: str, alias: str = "") -> bool:
        """Whether calls may ask for this model, or for the alias that stands for it."""
        names = (model, f"{provider}/{model}", alias)
        return not self.models or any(fnmatchcase(name, pattern) for pattern in self.models for name in names)

    def allows_door(self, door: str) -> bool:
        """Whether calls may come through this endpoint."""
        return not self.doors or not door or door in self.doors

    def as_json(self) -> dict[str, object]:
        """For the audit log."""
        return {
            "allowed_models": list(self.models),
            "allowed_endpoints": list(self.doors),
            "default_tags": list(self.tags),
            "default_priority": self.priority or None,
            "webhook_host": host_of(self.webhook) or None,
        }


ANY_ACCESS = KeyAccess()


def models_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Check names of models. Raises ValueError naming one."""
    found = _distinct(texts)
    for name in found:
        if not re.fullmatch(MODEL_PATTERN, name):
            raise ValueError(
                f"{name!r} is not the name of a model such as gpt-4o, deepseek/deepseek-chat, or openai/*."
            )
    if len(found) > MODELS_MAX:
        raise ValueError(f"A key can have at most {MODELS_MAX} models.")
    return found


def doors_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Check names of endpoints. Raises ValueError naming one."""
    found = _distinct(texts)
    for name in found:
        if name not in DOORS:
            raise ValueError(f"{name!r} is not one of {', '.join(DOORS)}.")
    return found


def tags_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Check tags. Raises ValueError naming one."""
    found = tuple(normal_names(map(check_visible, map(str.strip, texts))))
    for tag in found:
        if len(tag) > TAG_LENGTH:
            raise ValueError(f"The tag {tag[:20]!r}… has more than {TAG_LENGTH} characters.")
    if len(found) > TAGS_MAX:
        raise ValueError(f"A key can have at most {TAGS_MAX} tags.")
    return found


def with_default_tags(own: Sequence[str], access: KeyAccess) -> list[str]:
    """The tags of a call: its own, then those of its key."""
    return list(dict.fromkeys([*own, *access.tags]))


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for each in texts if (text := each.strip())))
