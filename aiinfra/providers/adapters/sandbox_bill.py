"""Looks up what the sandbox provider billed for an attempt."""

from uuid import UUID

import httpx2

from aiinfra import egress
from aiinfra.providers.base import BillState, TokenUsage
from aiinfra.providers.registry import Provider

LOOK_UP_TIMEOUT_S = 2.0

_STATES = {"billed": BillState.BILLED, "running": BillState.RUNNING, "unknown": BillState.NOT_BILLED}


def sandbox_bill(
    provider: Provider, http_client: httpx2.Client, attempt_id: UUID
) -> tuple[BillState, TokenUsage | None]:
    """State and usage of an attempt; CANNOT_SAY if the provider is not the sandbox.

    Raises httpx2.HTTPError if the sandbox does not respond; try again later.
    """
    if provider.sandbox_url is None:
        return BillState.CANNOT_SAY, None
    with egress.deadline(LOOK_UP_TIMEOUT_S):
        url = f"{provider.sandbox_url}/sandbox/calls/{attempt_id}"
        call = http_client.get(url, timeout=egress.timeouts(LOOK_UP_TIMEOUT_S)).raise_for_status().json()
        return _STATES[call["state"]], _usage(call["usage"])


def _usage(classes: dict[str, int] | None) -> TokenUsage | None:
    if classes is None:
        return None
    return TokenUsage(
        input=classes["input"],
        cache_read=classes["cacheRead"],
        cache_write=classes["cacheWrite"],
        output=classes["output"],
        reasoning=classes["reasoning"],
    )
