"""The operations in the authorization matrix, how each is called, and the expected result.

The required permissions are repeated here, so that a change in the code alone fails the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import get_resolver

from aiinfra.openapi import find_endpoints
from aiinfra.tenants.authorization import PERMISSIONS, Role
from tests.api.support import (
    ALIASES,
    BATCHES,
    CACHE,
    CHAT,
    COMPLETIONS,
    COST,
    COUNT_TOKENS,
    EMBEDDINGS,
    EVENTS,
    EXPORTS,
    FILES,
    HEALTH,
    KEYS,
    MESSAGES,
    MESSAGES_DOOR,
    METRICS,
    MODELS,
    PERFORMANCE,
    PRIVACY,
    QUEUE,
    RESPONSES,
    SECURITY_EVENTS,
    enqueue_body,
)


@dataclass(frozen=True)
class ApiCell:
    """An operation; `names` is the kind of row that its fields name."""

    address: str
    method: str
    action: str | None
    permission: str
    names: str = ""
    key_only: bool = False
    also: tuple[tuple[str, Any], ...] = ()
    """Additional fields and their values."""
    expected: str = "open"
    """The result for a caller with the permission; 400 if success would require a provider's response."""
    is_form: bool = False
    """Whether the body is a form with a file upload."""

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.action or ''}".strip()

    def fields(self, ids: dict[str, str]) -> dict[str, Any]:
        """A valid query or body."""
        if self.action is None and self.method == "POST" and not self.also:
            return enqueue_body() if self.address == QUEUE else {"messages": MESSAGES}
        fields = {**({"action": self.action} if self.action else {}), **dict(self.also)}
        return {**fields, NAMED_BY.get(self.names, "requestId"): ids[self.names]} if self.names else fields


NAMED_BY = {
    "open_advice": "recommendationId",
    "applied_advice": "recommendationId",
    "budget": "budgetId",
    "increase": "increaseId",
    "alert": "alertId",
    "entry": "entryId",
    "key": "keyId",
    "erasure": "erasureId",
}
"""The field that names each kind of row other than a request."""

INCREASE = (("amount", "1.00"), ("reason", "launch"), ("expiresAt", "2099-01-01T00:00:00Z"))

TRACKED = (
    ("provider", "deepseek"),
    ("model", "deepseek-chat"),
    ("usage", {"promptTokens": 100, "completionTokens": 150}),
)

DAYS = (("first", "2026-01-01"), ("last", "2026-01-31"))

NAMED = (("model", "deepseek-chat"), ("messages", MESSAGES))

CALL = (("provider", "deepseek"), ("model", "deepseek-chat"), ("messages", MESSAGES))

API_CELLS = [
    ApiCell(QUEUE, "GET", "stats", "queue:read"),
    ApiCell(QUEUE, "GET", "status", "queue:read", names="pending"),
    ApiCell(QUEUE, "GET", "list", "queue:read"),
    ApiCell(QUEUE, "GET", "cleanup", "queue:cleanup", key_only=True),
    ApiCell(QUEUE, "POST", None, "queue:write"),
    ApiCell(QUEUE, "POST", "cleanup", "queue:cleanup"),
    ApiCell(QUEUE, "POST", "cancel", "queue:write", names="pending"),
    ApiCell(QUEUE, "POST", "retry", "queue:write", names="failed"),
    ApiCell(QUEUE, "POST", "pause", "queue:admin"),
    ApiCell(QUEUE, "POST", "resume", "queue:admin"),
    ApiCell(CHAT, "POST", None, "chat:write"),
    ApiCell(COMPLETIONS, "POST", None, "chat:write", also=(*NAMED, ("n", 2)), expected="400"),
    ApiCell(EMBEDDINGS, "POST", None, "chat:write", also=(("model", "m"), ("input", [])), expected="400"),
    ApiCell(MESSAGES_DOOR, "POST", None, "chat:write", also=(*NAMED, ("max_tokens", 0)), expected="400"),
    ApiCell(COUNT_TOKENS, "POST", None, "chat:write", also=NAMED),
    ApiCell(MODELS, "GET", None, "chat:write"),
    ApiCell(f"{MODELS}/<path:model>", "GET", None, "chat:write", expected="404"),
    ApiCell(RESPONSES, "POST", None, "chat:write", also=(("model", "m"), ("input", 5)), expected="400"),
    ApiCell(BATCHES, "GET", None, "chat:write"),
    ApiCell(BATCHES, "POST", None, "chat:write", also=(("endpoint", "x"),), expected="400"),
    ApiCell(f"{BATCHES}/<str:batch_id>", "GET", None, "chat:write", expected="404"),
    ApiCell(f"{BATCHES}/<str:batch_id>/cancel", "POST", None, "chat:write", also=(("model", "x"),), expected="400"),
    ApiCell(FILES, "GET", None, "chat:write"),
    ApiCell(FILES, "POST", None, "chat:write", also=(("purpose", "batch"),), expected="400", is_form=True),
    ApiCell(f"{FILES}/<str:file_id>", "GET", None, "chat:write", expected="404"),
    ApiCell(f"{FILES}/<str:file_id>", "DELETE", None, "chat:write", expected="404"),
    ApiCell(f"{FILES}/<str:file_id>/content", "GET", None, "chat:write", expected="404"),
    ApiCell(EVENTS, "GET", None, "queue:read"),
    ApiCell(CACHE, "GET", "stats", "cache:read"),
    ApiCell(CACHE, "GET", "entries", "cache:read"),
    ApiCell(CACHE, "POST", "lookup", "chat:write", also=CALL),
    ApiCell(CACHE, "POST", "store", "cache:write", also=(*CALL, ("response", {"content": "A list."}))),
    ApiCell(CACHE, "POST", "clear", "cache:write", also=(("tags", ["report"]),)),
    ApiCell(CACHE, "POST", "clear-model", "cache:write", also=CALL[:2]),
    ApiCell(CACHE, "POST", "clear-all", "cache:write"),
    ApiCell(CACHE, "POST", "remove", "cache:write", also=(("entryId", "0" * 32),)),
    ApiCell(CACHE, "POST", "pin", "cache:write", names="entry"),
    ApiCell(CACHE, "POST", "report", "chat:write", names="hit", also=(("entryId", "1" * 32), ("correct", True))),
    ApiCell(HEALTH, "GET", None, "health:read"),
    ApiCell(PERFORMANCE, "GET", None, "health:read"),
    ApiCell(METRICS, "GET", None, "metrics:read"),
    ApiCell(COST, "GET", "summary", "cost:read"),
    ApiCell(COST, "GET", "metrics", "cost:read"),
    ApiCell(COST, "POST", "track", "usage:write", also=TRACKED),
    ApiCell(COST, "GET", "months", "finance:read"),
    ApiCell(EXPORTS, "GET", "ledger", "finance:read", also=DAYS),
    ApiCell(EXPORTS, "GET", "focus", "finance:read", also=DAYS),
    ApiCell(EXPORTS, "GET", "statement", "finance:read", also=(("month", "2025-02-01"),)),
    ApiCell(KEYS, "GET", "list", "key:limit"),
    ApiCell(KEYS, "POST", "set-limits", "key:limit", names="key"),
    ApiCell(ALIASES, "GET", None, "chat:write"),
    ApiCell(ALIASES, "POST", "set", "alias:write", also=(("alias", "best"), ("model", "deepseek-chat"))),
    ApiCell(ALIASES, "POST", "remove", "alias:write", also=(("alias", "best"),)),
    ApiCell(KEYS, "POST", "set-access", "key:limit", names="key"),
    ApiCell(KEYS, "POST", "set-webhook", "key:limit", names="key", also=(("url", None),)),
    ApiCell(KEYS, "POST", "rotate-webhook-secret", "key:limit", names="key"),
    ApiCell(KEYS, "POST", "remove-webhook-secret", "key:limit", names="key"),
    ApiCell(KEYS, "POST", "set-expiry", "key:limit", names="key", also=(("expiresAt", None),)),
    ApiCell(PRIVACY, "POST", "erase", "privacy:erase", also=(("user", "anna"),)),
    ApiCell(PRIVACY, "GET", "erasures", "privacy:erase"),
    ApiCell(PRIVACY, "GET", "receipt", "privacy:erase", names="erasure"),
    ApiCell(SECURITY_EVENTS, "GET", None, "security_log:read"),
    ApiCell(COST, "GET", "recommendations", "cost:read"),
    ApiCell(COST, "GET", "provider-recommendation", "cost:read", also=(("requestType", "simple"),)),
    ApiCell(COST, "POST", "apply-recommendation", "advice:write", names="open_advice"),
    ApiCell(COST, "POST", "dismiss-recommendation", "advice:write", names="open_advice"),
    ApiCell(COST, "POST", "undo-recommendation", "advice:write", names="applied_advice"),
    ApiCell(COST, "GET", "alerts", "cost:read"),
    ApiCell(COST, "POST", "acknowledge-alert", "alert:write", names="alert"),
    ApiCell(COST, "POST", "snooze-alert", "alert:write", names="alert"),
    ApiCell(COST, "POST", "resolve-alert", "alert:write", names="alert"),
    ApiCell(COST, "GET", "budgets", "cost:read"),
    ApiCell(COST, "POST", "set-budget", "budget:write", also=(("period", "daily"), ("limit", "5.00"))),
    ApiCell(COST, "POST", "remove-budget", "budget:write", names="budget"),
    ApiCell(COST, "POST", "increase-budget", "budget:write", names="budget", also=INCREASE),
    ApiCell(COST, "POST", "withdraw-increase", "budget:write", names="increase"),
]


def expected_of_api(cell: ApiCell, role: Role, credential: str, place: str) -> str:
    """The status by CONTRACT: 401 without a credential, 404 for other organizations, 403 without the permission."""
    right = PERMISSIONS[cell.permission]
    if place == "anonymous":
        return "401"
    if place == "named":
        return "404"
    if role not in right.roles or (credential == "key" and not right.by_key):
        return "403"
    if cell.key_only and credential == "session":
        return "403"
    return "404" if place == "foreign" else cell.expected


def operations() -> Iterator[tuple[str, str, str | None, Any]]:
    """The (address, method, action, operation) of the whole JSON API."""
    for address, endpoint in find_endpoints(get_resolver().url_patterns):
        for (method, action), operation in endpoint.operations.items():
            yield address, method, action, operation
