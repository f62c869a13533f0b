"""What a client asks for, through any interface."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiinfra.providers.base import Dialect
from aiinfra.tenants.key_limits import NO_LIMITS, KeyLimits
from cost_app.facade import DEFAULT_OUTPUT_TOKENS
from queue_app.models import Priority

WITHOUT_EFFECT = frozenset(
    {
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
    }
)
"""Parameters that the model does not see: they label the call, or say how long the provider keeps the prompt."""


@dataclass(frozen=True)
class Submission:
    """What a client asks for. `timeout_ms` applies to each provider call."""

    organization_id: int
    provider: str
    model: str
    messages: Sequence[dict[str, Any]]
    alias: str = ""
    """What the client called the model, which may be another one for its next call."""
    priority: Priority = Priority.NORMAL
    api_key_id: int | None = None
    key_limits: KeyLimits = NO_LIMITS
    user_ref: str = ""
    conversation_id: str = ""
    max_retries: int = 3
    timeout_ms: int = 30_000
    temperature: float | None = None
    max_tokens: int | None = None
    service_tier: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dialect: Dialect = Dialect.OPENAI
    """Of messages and parameters."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The vendor's own headers, for a provider of the same dialect."""
    has_instructions: bool = False
    """Whether the first message applies only to this call, and not to calls that continue the conversation."""
    can_be_continued: bool = True
    """Whether later calls may refer to the answer."""
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    cache_mode: str = "use"
    context_key: str = ""
    webhook: str = ""
    """URL that is notified when the request ends."""
    idempotency_key: str | None = None

    @property
    def call(self) -> dict[str, Any]:
        """The call as stored for the worker. What the client did not use has no member, as in older rows."""
        further = {
            "service_tier": self.service_tier,
            "parameters": dict(self.parameters),
            "dialect": self.dialect.value if self.dialect != Dialect.OPENAI else None,
            "headers": dict(self.headers),
            "has_instructions": self.has_instructions,
            "is_last": not self.can_be_continued,
        }
        return {
            "messages": list(self.messages),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens or DEFAULT_OUTPUT_TOKENS,
            **{name: value for name, value in further.items() if value},
        }

    @property
    def answer_parameters(self) -> dict[str, Any]:
        """Everything in the parameters that changes the answer; part of the cache key."""
        shaping = {name: value for name, value in self.parameters.items() if name not in WITHOUT_EFFECT}
        if self.dialect == Dialect.OPENAI:
            return shaping
        return {**shaping, "dialect": self.dialect.value, "headers": dict(self.headers)}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that the client sent, to distinguish two bodies with the same key."""
        fields = [
            "" if self.alias else self.provider,
            self.alias or self.model,
            self.call,
            self.priority.value,
            self.user_ref,
            self.conversation_id,
            self.max_retries,
            self.timeout_ms,
            list(self.tags),
            dict(self.metadata),
            self.cache_mode,
            self.context_key,
            *filter(None, [self.webhook]),
        ]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
