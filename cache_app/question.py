"""A question as the cache sees it: a scope that must be equal, and a text that may be similar.

The partition is a hash of everything but the text of the last user turn: the organization, the model with its
parameters, the system prompt, all earlier turns, and every other field of the last one (a `name`, for example). Texts
are compared only inside a partition. The parts are hashed as canonical JSON, so no wording can move a question into
another partition.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cache_app.models import SharedWith
from cache_app.visible_text import visible_text

FORMAT = 2
"""Part of each partition. Raise it when older entries must no longer be found."""
ID_LENGTH = 32
"""Hex digits of an ID: 128 bits of a SHA-256."""


@dataclass(frozen=True)
class Question:
    """One call that a client wants to make.

    `context_key` is the client's own part of the scope, for what the messages do not contain (documents, permissions).
    `parameters` are all others that change the answer: tools, response format, top_p, seed, stop. Key and user count if
    the organization does not share answers between them.
    """

    organization_id: int
    provider: str
    model: str
    messages: Sequence[Mapping[str, Any]]
    temperature: float | None = None
    max_tokens: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    context_key: str = ""
    api_key_id: int | None = None
    user_ref: str = ""

    @property
    def text(self) -> str:
        """The last turn, if a user wrote it as plain text; else "". Without invisible characters."""
        last = self.messages[-1] if self.messages else {}
        content = last.get("content")
        return visible_text(content) if last.get("role") == "user" and isinstance(content, str) else ""

    def partition(self, embedder_id: str, shared_with: str = SharedWith.ORGANIZATION) -> str:
        """The hash that must be equal. It includes the embedder: vectors of two embedders are not comparable."""
        whole = [
            FORMAT,
            embedder_id,
            self.organization_id,
            self._owner(shared_with),
            self.context_key,
            self.provider,
            self.model,
            self.temperature,
            self.max_tokens,
            dict(self.parameters),
            [dict(message) for message in self.messages[:-1]],
            self._beside_text(),
        ]
        return _digest(whole)

    def _beside_text(self) -> dict[str, Any] | None:
        """The last turn without the text that is compared by meaning: its role and every other field."""
        if not self.messages:
            return None
        last = _seen(self.messages[-1])
        if self.text:
            del last["content"]
        return last

    def _owner(self, shared_with: str) -> list[Any]:
        match shared_with:
            case SharedWith.API_KEY:
                return ["api_key", self.api_key_id]
            case SharedWith.USER:
                return ["user", self.user_ref]
            case _:
                return []


def _seen(message: Mapping[str, Any]) -> dict[str, Any]:
    """A turn without the invisible characters of its text."""
    content = message.get("content")
    return {**message, "content": visible_text(content)} if isinstance(content, str) else dict(message)


def entry_id(partition: str, text: str) -> str:
    """The ID of the entry that answers exactly this text in this partition."""
    return _digest([partition, normalized(text)])


def normalized(text: str) -> str:
    """The text without differences that cannot matter: composed characters and outer whitespace. Case, punctuation and
    inner whitespace can matter (code, tables, names), and stay.
    """
    return unicodedata.normalize("NFC", text).strip()


def _digest(parts: Any) -> str:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:ID_LENGTH]
