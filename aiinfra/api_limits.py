"""Rate limits of the API: per key, per organization, and per client address.

Requests per minute are counted in Redis, across all processes. Requests in progress are counted per process, and also
in Redis for keys with their own limit.
"""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra import timed_cache
from aiinfra.failures import ApiError
from aiinfra.plurals import plural
from aiinfra.rate_limits import Rate, Slots, Taken, leave, take
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.caller import client_address, network_of

RETRY_AFTER_BUSY_S = 1
REQUESTS, TOKENS = "requests", "tokens"
MINUTE_S = 60


class _InProgress:
    """Requests in progress in this process, by limit name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()
        timed_cache.register(self)

    def forget(self) -> None:
        """Reset all counts."""
        self._counts: Counter[str] = Counter()

    def enter(self, slots: Sequence[Slots]) -> Slots | None:
        """Count a request. If a limit refuses it, returns that limit and counts nothing."""
        with self._lock:
            full = next((each for each in slots if self._counts[each.name] >= each.most), None)
            if full is None:
                self._counts.update(each.name for each in slots)
        return full

    def leave(self, slots: Sequence[Slots]) -> None:
        """Stop counting a request."""
        with self._lock:
            for each in slots:
                self._counts[each.name] -= 1
                if self._counts[each.name] <= 0:
                    del self._counts[each.name]


_in_progress = _InProgress()


@dataclass(frozen=True)
class Admission:
    """An admitted request."""

    rates: tuple[Rate, ...]
    taken: Taken
    slots: tuple[Slots, ...]
    shared_slots: tuple[Slots, ...]
    member: str

    def end(self) -> None:
        """Release the request's slots, once the response has been sent."""
        _in_progress.leave(self.slots)
        if self.shared_slots:
            leave(self.shared_slots, self.member)

    def headers(self) -> dict[str, str]:
        """The rate limit headers of the response."""
        return _headers(self.rates, self.taken)


def admit(request: HttpRequest, principal: Principal) -> Admission:
    """Count an authenticated request. Raises ApiError 429 over a limit, 403 if the key doesn't allow the IP address.

    The caller ends the admission.
    """
    address = client_address(request)
    if not principal.limits.allows(address):
        raise ApiError(403, "address_not_allowed", "This API key does not work from your address.")
    rates, slots, shared = _limits_of(principal, network_of(address))
    if full := _in_progress.enter(slots):
        raise _refusal(full, RETRY_AFTER_BUSY_S, {})
    member = secrets.token_hex(8) if shared else ""
    taken = take(rates, shared, member, principal.organization_id)
    if taken.refused:
        _in_progress.leave(slots)
        raise _refusal(taken.refused, taken.retry_after_s, _headers(rates, taken))
    return Admission(rates, taken, slots, shared, member)


def with_limits(admission: Admission, respond: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """The response with rate limit headers. The request counts as in progress until the response is sent."""
    try:
        response = respond()
    except ApiError as error:
        admission.end()
        error.headers = {**admission.headers(), **error.headers}
        raise
    except BaseException:
        admission.end()
        raise
    for name, value in admission.headers().items():
        response.headers.setdefault(name, value)
    response._resource_closers.append(admission.end)  # type: ignore[attr-defined]  # Django runs them once it is sent
    return response


def count_call(principal: Principal) -> None:
    """Count a batch call against the key's requests per minute. Raises ApiError 429.

    One Redis command for a key with such a limit, none for others.
    """
    if principal.api_key_id is None or not principal.limits.requests_per_minute:
        return
    rate = Rate(f"key:{principal.api_key_id}", principal.limits.requests_per_minute)
    taken = take([rate])
    if taken.refused:
        raise _refusal(rate, taken.retry_after_s, {})


@contextmanager
def in_progress(principal: Principal) -> Iterator[None]:
    """Count a call that a batch sends directly against the key's concurrent requests while the block runs, as for HTTP
    requests. Raises ApiError 429.

    Two Redis commands for a key with such a limit, none for others.
    """
    if principal.api_key_id is None or not principal.limits.concurrent_requests:
        yield
        return
    slots = _shared_slots(principal.api_key_id, principal.limits.concurrent_requests)
    member = secrets.token_hex(8)
    if take([], [slots], member).refused:
        raise _refusal(slots, RETRY_AFTER_BUSY_S, {})
    try:
        yield
    finally:
        leave([slots], member)


def count_refused(request: HttpRequest) -> None:
    """Count a request without valid credentials. Raises ApiError 429 if its IP address sent too many.

    Requests with a valid key are allowed, however many others from the same address fail.
    """
    rate = Rate(f"refused:{network_of(client_address(request))}", settings.UNAUTHENTICATED_PER_MINUTE)
    taken = take([rate])
    if taken.refused:
        raise _refusal(rate, taken.retry_after_s, _headers([rate], taken))


def _limits_of(principal: Principal, network: str) -> tuple[tuple[Rate, ...], tuple[Slots, ...], tuple[Slots, ...]]:
    organization = f"organization:{principal.organization_id}"
    rates = [
        Rate(organization, settings.REQUESTS_PER_MINUTE_ORGANIZATION),
        Rate(f"address:{network}", settings.REQUESTS_PER_MINUTE_ADDRESS),
    ]
    slots = [
        Slots(organization, settings.CONCURRENT_REQUESTS_ORGANIZATION),
        Slots(f"address:{network}", settings.CONCURRENT_REQUESTS_ADDRESS),
    ]
    shared: list[Slots] = []
    if principal.api_key_id is not None:
        key, limits = f"key:{principal.api_key_id}", principal.limits
        rates.insert(0, Rate(key, limits.requests_per_minute or settings.REQUESTS_PER_MINUTE_KEY))
        slots.insert(0, Slots(key, settings.CONCURRENT_REQUESTS_KEY))
        if limits.concurrent_requests:
            shared.append(_shared_slots(principal.api_key_id, limits.concurrent_requests))
        if limits.tokens_per_minute:  # only checked here; charged when the request is accepted
            rates.append(Rate(f"{key}:tokens", limits.tokens_per_minute, TOKENS, cost=0))
    return tuple(rates), tuple(slots), tuple(shared)


def _shared_slots(api_key_id: int, most: int) -> Slots:
    return Slots(f"key:{api_key_id}:in_progress", most)


def _refusal(limit: Rate | Slots, retry_after_s: int, headers: dict[str, str]) -> ApiError:
    whose = limit.name.partition(":")[0]
    whose = {"key": "This API key", "organization": "Your organization"}.get(whose, "Your address")
    if isinstance(limit, Rate):
        what = f"{plural(limit.per_minute, limit.unit.removesuffix('s'))} per minute"
    else:
        what = f"{plural(limit.most, 'request')} at a time"
    after = max(1, retry_after_s)
    message = f"{whose} can send {what}. Try again in {after} s."
    return ApiError(429, "rate_limited", message, headers={**headers, "Retry-After": str(after)})


def _headers(rates: Sequence[Rate], taken: Taken) -> dict[str, str]:
    """The limit with the smallest remaining share, under the IETF draft's and OpenAI's header names."""
    states = list(zip(rates, taken.left, strict=False))
    tightest = min((each for each in states if each[0].unit == REQUESTS), key=lambda each: each[1] / each[0].per_minute)
    limit, left, reset_s = _state(*tightest)
    headers = {"RateLimit-Limit": limit, "RateLimit-Remaining": left, "RateLimit-Reset": reset_s}
    for state in (tightest, *(each for each in states if each[0].unit == TOKENS)):
        limit, left, reset_s = _state(*state)
        unit = state[0].unit
        headers[f"x-ratelimit-limit-{unit}"] = limit
        headers[f"x-ratelimit-remaining-{unit}"] = left
        headers[f"x-ratelimit-reset-{unit}"] = f"{reset_s}s"
    return headers


def _state(rate: Rate, left: int) -> tuple[str, str, str]:
    """The limit, what remains, and the seconds until it is fully replenished."""
    return str(rate.per_minute), str(left), str(-(-(rate.per_minute - left) * MINUTE_S // rate.per_minute))
