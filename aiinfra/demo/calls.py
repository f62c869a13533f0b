"""Generates the demo company's requests: who sent what, how each attempt ended, and what it cost.

A request produces everything the product would store for it, so that pages cannot disagree: the request, its attempts,
their ledger rows, and its semantic cache lookup with the hit, if there was one.
"""

import random
from bisect import bisect
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

from aiinfra.demo.clock import Slot
from aiinfra.demo.profiles import PROFILES, Profile
from aiinfra.providers.base import ErrorCode, TokenUsage
from cache_app.metrics.counts import similarity_name
from cache_app.models import CacheHit, Layer
from cost_app.models import Attempt, AttemptState, LedgerEntry, LedgerKind, ModelPrice
from cost_app.models.ledger import token_columns
from cost_app.prices.lookup import ModelNotPricedError, price_of
from cost_app.prices.pricing import TOKENS_PER_PRICE, cost_of
from queue_app.models import AIRequest, Status

MARK = "demo history"
PROMPT_SIGMA, OUTPUT_SIGMA, LATENCY_SIGMA, WAIT_SIGMA = 0.3, 0.45, 0.38, 0.9
"""Spreads (log-normal) around the profile's medians."""
FAILURES = ((0.008, ErrorCode.TIMEOUT), (0.013, ErrorCode.RATE_LIMITED), (0.006, ErrorCode.SERVER_ERROR))
"""Of first attempts; second attempts fail as often as `RETRY_FAILS` says."""
RETRY_FAILS = 0.06
ATTEMPTS_MAX = 3
TIMEOUT_MS = 60_000
MEDIAN_WAIT_MS = 90
EXACT_SHARE = 0.55
"""Of cache hits; the others are semantic."""
GUARDED_SHARE = 0.06
"""Of the misses, those with enough similarity that a guard rejected."""
GUARDS = ("numbers", "numbers", "entities", "negation", "antonyms", "dates")
NEAR_MISS = 0.75
QUESTIONS = 700
"""How many different questions a profile's users ask; a few of them often."""
MS = timedelta(milliseconds=1)


@dataclass
class Made:
    """Everything the product stores for one request."""

    request: AIRequest
    attempts: list[Attempt] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    looked: dict[str, int] = field(default_factory=dict)
    """Cache counts for its lookup; those of a hit are derived from its row."""
    hit: CacheHit | None = None


class CallMaker:
    """Generates the requests of one history; deterministic for a seed."""

    def __init__(self, organization_id: int, key_ids: dict[str, int], *, seed: str) -> None:
        self._organization_id = organization_id
        self._key_ids = key_ids
        self._chance = random.Random(seed)
        self._mark: str | None = MARK

    def requests_of(self, slot: Slot) -> list[Made]:
        """The requests of one hour, in order of time."""
        prices = {profile: _price(profile, slot.begins_at) for profile in PROFILES} if slot.requests else {}
        shares = list(accumulate(slot.shares))
        moments = sorted(self._chance.random() for _ in range(slot.requests))
        made = []
        for moment in moments:
            profile = PROFILES[bisect(shares, self._chance.random() * shares[-1])]
            at = slot.begins_at + slot.length * moment
            made.append(self._make(profile, prices[profile], at, slot.done_percent))
        return made

    def _make(self, profile: Profile, price: ModelPrice, at: datetime, done_percent: int) -> Made:
        made = Made(self._request(profile, price, at))
        usage = self._usage(profile)
        if self._chance.random() < profile.hit_share * (200 + done_percent) / 300:
            self._answer_from_cache(made, profile, price, usage)
        else:
            self._answer_by_calls(made, profile, price, usage)
        return made

    def _request(self, profile: Profile, price: ModelPrice, at: datetime) -> AIRequest:
        return AIRequest(
            id=self._identity(at),
            organization_id=self._organization_id,
            provider=price.provider,
            model=price.model,
            api_key_id=self._key_ids[profile.key_name],
            user_ref=profile.users[int(len(profile.users) * self._chance.random() ** 2)],
            tags=list(profile.tags),
            priority=self._chance.choice(profile.priorities),
            timeout_ms=TIMEOUT_MS,
            created_at=at,
            not_before=at,
            status=Status.COMPLETED,
        )

    def _identity(self, at: datetime) -> UUID:
        """A UUID version 7: time first, so that indexes grow at their end; then random."""
        return UUID(int=int(at.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62 | self._chance.getrandbits(61))

    def _usage(self, profile: Profile) -> TokenUsage:
        prompt = profile.prefix_tokens + int((profile.prompt_tokens - profile.prefix_tokens) * self._near(PROMPT_SIGMA))
        read = profile.prefix_tokens if self._chance.random() < profile.prefix_read_share else 0
        output = min(profile.max_tokens, int(profile.output_tokens * self._near(OUTPUT_SIGMA)) + 1)
        reasoning = int(output * min(0.9, profile.reasoning_share * self._near(0.2)))
        return TokenUsage(input=prompt - read + 1, cache_read=read, output=output, reasoning=reasoning)

    def _near(self, sigma: float) -> float:
        """A log-normal factor around 1."""
        return self._chance.lognormvariate(0, sigma)

    def _answer_from_cache(self, made: Made, profile: Profile, price: ModelPrice, usage: TokenUsage) -> None:
        request = made.request
        is_exact = self._chance.random() < EXACT_SHARE
        similarity = 1.0 if is_exact else round(min(0.999, 0.86 + abs(self._chance.gauss(0, 0.06))), 4)
        latency_ms = int(9 * self._near(0.5)) + 2
        request.completed_at, request.cached = request.created_at + latency_ms * MS, True
        saved = cost_of(usage, price)
        made.looked = {"look": 1} if is_exact else {"look": 1, similarity_name(similarity, "served"): 1}
        made.hit = CacheHit(
            id=request.id,
            organization_id=self._organization_id,
            at=request.completed_at,
            layer=Layer.EXACT if is_exact else Layer.SEMANTIC,
            entry_id=f"{self._question():032x}",
            partition=f"{self._key_ids[profile.key_name]:032x}",
            embedder="minilm",
            provider=price.provider,
            model=price.model,
            similarity=similarity,
            rule="exact" if is_exact else "clear",
            api_key_id=request.api_key_id,
            user_ref=request.user_ref,
            saved_nano=saved,
            saved_ms=self._latency_ms(profile, usage),
            entry_age_s=int(self._chance.expovariate(1 / 18_000)) % 86_400,
            lookup_ms=float(latency_ms),
        )
        made.entries.append(
            self._entry(request, LedgerKind.CACHE_HIT, request.completed_at, saved_nano=saved, latency_ms=latency_ms,
                        **token_columns(usage))
        )  # fmt: skip

    def _answer_by_calls(self, made: Made, profile: Profile, price: ModelPrice, usage: TokenUsage) -> None:
        request = made.request
        made.looked = self._miss(profile)
        at = request.created_at + int(MEDIAN_WAIT_MS * self._near(WAIT_SIGMA)) * MS
        request.started_at = at
        digest = f"{self._question():016x}" if profile.hit_share else f"{self._chance.getrandbits(64):016x}"
        for number in range(1, ATTEMPTS_MAX + 1):
            error = self._failure(number)
            took_ms = self._took_ms(profile, usage, error)
            attempt = self._attempt(request, profile, price, usage, at, number, digest)
            attempt.finished_at = request.completed_at = ended_at = at + took_ms * MS
            request.attempt_number = number
            self._book(made, attempt, price, usage, error, took_ms)
            if error is None:
                return
            at = ended_at + timedelta(seconds=self._chance.uniform(0.2, 2.0 * number))
        request.status, request.error_code = Status.FAILED, made.attempts[-1].error_code
        request.error_message = "every attempt failed"

    def _miss(self, profile: Profile) -> dict[str, int]:
        """Counts of a cache miss: too little similarity, or rejected by a guard."""
        if not profile.hit_share:
            return {"look": 1, "miss:none": 1}
        if self._chance.random() < GUARDED_SHARE:
            best, fate, why = self._chance.uniform(0.86, 0.97), "refused", f"miss:{self._chance.choice(GUARDS)}"
        else:
            best, fate = min(0.845, max(0.05, self._chance.gauss(0.55, 0.14))), "below"
            why = "miss:threshold" if best > NEAR_MISS else "miss:none"
        return {"look": 1, why: 1, similarity_name(best, fate): 1}

    def _failure(self, number: int) -> ErrorCode | None:
        chance = self._chance.random() * (1 if number == 1 else sum(share for share, _ in FAILURES) / RETRY_FAILS)
        for share, code in FAILURES:
            if chance < share:
                return code
            chance -= share
        return None

    def _attempt(
        self,
        request: AIRequest,
        profile: Profile,
        price: ModelPrice,
        usage: TokenUsage,
        at: datetime,
        number: int,
        digest: str,
    ) -> Attempt:
        prompt, prompt_price = usage.input + usage.cache_read, max(price.input, price.cache_read, price.cache_write)
        external_id, self._mark = self._mark, None
        return Attempt(
            id=self._identity(at),
            organization_id=self._organization_id,
            request_id=request.id,
            number=number,
            provider=price.provider,
            model=price.model,
            price=price,
            api_key_id=request.api_key_id,
            user_ref=request.user_ref,
            tags=request.tags,
            priority=request.priority,
            request_class=profile.request_class,
            external_id=external_id,
            max_tokens=profile.max_tokens,
            prompt_digest=digest,
            prefix_digest=f"{profile.prefix_tokens:016x}" if profile.prefix_tokens else "",
            prefix_bytes=4 * profile.prefix_tokens,
            bound_nano=-(-(4 * prompt * prompt_price + profile.max_tokens * price.output) // TOKENS_PER_PRICE),
            raw_usage={"demo": True},
            created_at=at,
            dispatched_at=at,
        )

    def _took_ms(self, profile: Profile, usage: TokenUsage, error: ErrorCode | None) -> int:
        if error is ErrorCode.TIMEOUT:
            return TIMEOUT_MS + int(15 * self._near(0.8))
        return int(240 * self._near(0.6)) if error else self._latency_ms(profile, usage)

    def _latency_ms(self, profile: Profile, usage: TokenUsage) -> int:
        """A third of the time passes before the first token; the rest grows with the answer."""
        length = usage.output / profile.output_tokens
        return min(TIMEOUT_MS - 1, int(profile.latency_ms * (0.35 + 0.65 * length) * self._near(LATENCY_SIGMA)) + 1)

    def _book(
        self, made: Made, attempt: Attempt, price: ModelPrice, usage: TokenUsage, error: ErrorCode | None, took_ms: int
    ) -> None:
        """A timeout is billed for the prompt that arrived; a rejected call is not billed."""
        billed = TokenUsage(input=usage.input, cache_read=usage.cache_read) if error is ErrorCode.TIMEOUT else usage
        is_billed = error in {None, ErrorCode.TIMEOUT}
        tokens = token_columns(billed) if is_billed else {}
        attempt.state = AttemptState.SETTLED if is_billed else AttemptState.RELEASED
        attempt.cost_nano = cost_of(billed, price) if is_billed else 0
        attempt.error_code = error.value if error else ""
        for name, count in tokens.items():
            setattr(attempt, name, count)
        kind = LedgerKind.USAGE if is_billed else LedgerKind.FAILED
        columns: dict[str, Any] = {"attempt": attempt, "nano": attempt.cost_nano, "errors": int(error is not None)}
        made.attempts.append(attempt)
        made.entries.append(
            self._entry(
                made.request, kind, attempt.finished_at, latency_ms=took_ms if is_billed else None, **columns, **tokens
            )
        )

    def _entry(self, request: AIRequest, kind: LedgerKind, at: datetime | None, **columns: Any) -> LedgerEntry:
        return LedgerEntry(
            **{
                "organization_id": self._organization_id,
                "at": at,
                "kind": kind,
                "request_id": request.id,
                "provider": request.provider,
                "model": request.model,
                "api_key_id": request.api_key_id,
                "user_ref": request.user_ref,
                "tags": request.tags,
                "priority": request.priority,
                "nano": 0,
                "calls": 1,
                "note": MARK,
                **columns,
            }
        )

    def _question(self) -> int:
        return int(QUESTIONS * self._chance.random() ** 3)


def _price(profile: Profile, at: datetime) -> ModelPrice:
    """The price of the profile's first model with a price at that time. Raises ModelNotPricedError if none had one."""
    for provider, model in profile.models[:-1]:
        try:
            return price_of(provider, model, at=at)
        except ModelNotPricedError:
            continue
    return price_of(*profile.models[-1], at=at)
