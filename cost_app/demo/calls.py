"""The demo company's calls, one after the other: what each asked, how it ended and what it cost."""

import random
from bisect import bisect
from datetime import datetime, timedelta
from itertools import accumulate

from aiinfra.providers.base import TokenUsage
from cost_app.demo.clock import Slot
from cost_app.demo.profiles import CONTRACTS, PROFILES, REPORTS, Profile
from cost_app.demo.rows import Row, RowWriter
from cost_app.models import AttemptState, LedgerKind, ModelPrice
from cost_app.prices.book import ModelNotPricedError, price_of
from cost_app.prices.pricing import TOKENS_PER_PRICE, cost_of

CACHE_FROM_PERCENT = 66
"""The cache came into use when two thirds of the history had passed."""
CACHE_HIT_SHARE, PROMPT_CACHE_SHARE = 0.45, 0.1
FAILING_SHARE = 0.03
HOPELESS_SHARE = 0.08
"""Of the reports: too long for their deadline, tried four times, and billed each time for the prompt."""
HOPELESS_ATTEMPTS = 4
HIT_LATENCY_MS = 12
SIGMAS = PROMPT_SIGMA, OUTPUT_SIGMA, LATENCY_SIGMA = 0.25, 0.35, 0.2
FACTORS = 4_096
"""Of each spread so many are drawn beforehand: that takes a tenth of the time."""
BURST = timedelta(minutes=4)
SETTLED, RELEASED = AttemptState.SETTLED.value, AttemptState.RELEASED.value
USAGE, FAILED, CACHE_HIT = LedgerKind.USAGE.value, LedgerKind.FAILED.value, LedgerKind.CACHE_HIT.value
MS = timedelta(milliseconds=1)


class CallMaker:
    """Makes the rows of one history; the same seed makes the same ones."""

    def __init__(self, writer: RowWriter, key_ids: dict[str, int], *, seed: str, questions: int, mark: str) -> None:
        self._writer = writer
        self._key_ids = key_ids
        self._random = random.Random(seed)
        self._questions = questions
        self._mark: str | None = mark
        self._count = 0
        self._asked: set[int] = set()
        self._factors = {sigma: [self._random.lognormvariate(0, sigma) for _ in range(FACTORS)] for sigma in SIGMAS}

    def fill(self, slot: Slot) -> None:
        """Make the rows of one hour."""
        prices = {profile: _price(profile, slot.begins_at) for profile in PROFILES}
        moments = sorted(self._random.random() for _ in range(slot.rows))
        shares, left = list(accumulate(slot.shares)), slot.rows
        for moment in moments:
            if left <= 0:
                return
            profile = PROFILES[bisect(shares, self._random.random() * shares[-1])]
            left -= self._make(slot, profile, prices[profile], slot.begins_at + slot.length * moment, left)

    def _make(self, slot: Slot, profile: Profile, price: ModelPrice, at: datetime, room: int) -> int:
        """One request; returns how many rows it took."""
        if profile.in_bursts:
            at = slot.begins_at + (at - slot.begins_at) * (min(BURST, slot.length) / slot.length)
        request = self._request(profile, price, at)
        if profile.repeats and self._is_hit(request, slot):
            self._add_hit(request, price, profile, at)
            return 1
        chance = self._random.random()
        if profile is REPORTS and chance < HOPELESS_SHARE and room >= HOPELESS_ATTEMPTS:
            return self._add_hopeless(request, price, profile, at)
        failed = chance > 1 - FAILING_SHARE and room > 1
        if failed:
            self._add_failure(request, price, at)
            at += timedelta(seconds=self._random.uniform(2, 20))
        usage = self._usage(profile, slot)
        self._add_call(request, price, usage, at, self._latency(profile, usage), number=2 if failed else 1)
        return 2 if failed else 1

    def _request(self, profile: Profile, price: ModelPrice, at: datetime) -> Row:
        """What all rows of one request share."""
        self._count += 1
        numbers = self._random
        question = int(self._questions * numbers.random() ** 3) if profile.repeats else 0
        digest = f"{question:016x}" if profile.repeats else f"{numbers.getrandbits(64):016x}"
        return {
            **NO_TOKENS,
            "request_id": self._identity(at),
            "provider": price.provider,
            "model": price.model,
            "api_key_id": self._key_ids[profile.key_name],
            "user_ref": profile.users[int(len(profile.users) * numbers.random() ** 2)],
            "tags": profile.tags,
            "priority": profile.priorities[int(len(profile.priorities) * numbers.random())],
            "request_class": profile.request_class,
            "max_tokens": profile.max_tokens,
            "prompt_digest": digest,
            "prefix_digest": f"{profile.prefix_bytes:016x}" if profile.prefix_bytes else "",
            "prefix_bytes": profile.prefix_bytes,
            "question": question,
            "prompt_tokens": profile.prompt_tokens,
        }

    def _identity(self, at: datetime) -> int:
        """As UUID version 7: time first, so that indexes grow at their end; then chance."""
        milliseconds = int(at.timestamp() * 1000)
        return milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | self._random.getrandbits(61)

    def _is_hit(self, request: Row, slot: Slot) -> bool:
        known = request["question"] in self._asked
        self._asked.add(request["question"])
        return known and slot.done_percent >= CACHE_FROM_PERCENT and self._random.random() < CACHE_HIT_SHARE

    def _usage(self, profile: Profile, slot: Slot) -> TokenUsage:
        """Tokens around the profile's medians. Late in the history a cache reads some beginnings."""
        numbers = self._random
        prompt = int(profile.prompt_tokens * self._factor(PROMPT_SIGMA)) + 1
        output = min(profile.max_tokens, int(profile.output_tokens * self._factor(OUTPUT_SIGMA)) + 1)
        read = 0
        if profile is CONTRACTS and slot.done_percent >= CACHE_FROM_PERCENT and numbers.random() < PROMPT_CACHE_SHARE:
            read = min(prompt - 1, profile.prefix_bytes // 4)
        return TokenUsage(input=prompt - read, cache_read=read, output=output)

    def _factor(self, sigma: float) -> float:
        """Log-normal around 1."""
        return self._factors[sigma][int(self._random.random() * FACTORS)]

    def _latency(self, profile: Profile, usage: TokenUsage) -> int:
        length = usage.output / profile.output_tokens
        return int(profile.latency_ms * (0.4 + 0.6 * length) * self._factor(LATENCY_SIGMA)) + 1

    def _add_call(
        self,
        request: Row,
        price: ModelPrice,
        usage: TokenUsage,
        at: datetime,
        latency_ms: int,
        *,
        number: int,
        error_code: str = "",
    ) -> None:
        """A call that was billed: answered, or with an error code."""
        cost, tokens = cost_of(usage, price), _tokens(usage)
        attempt = self._attempt(request, price, at, latency_ms, number)
        attempt.update(tokens, state=SETTLED, cost_nano=cost, error_code=error_code)
        self._writer.add_attempt(attempt)
        entry = self._entry(attempt, USAGE, latency_ms)
        entry.update(tokens, nano=cost, errors=int(bool(error_code)))
        self._writer.add_entry(entry)

    def _add_failure(self, request: Row, price: ModelPrice, at: datetime) -> None:
        """A call that the provider refused and did not bill."""
        attempt = self._attempt(request, price, at, 180, 1)
        self._writer.add_attempt(attempt | {"state": RELEASED, "error_code": "RATE_LIMITED"})
        self._writer.add_entry(self._entry(attempt, FAILED, None) | {"errors": 1})

    def _add_hopeless(self, request: Row, price: ModelPrice, profile: Profile, at: datetime) -> int:
        """A request that fails as often as it is tried."""
        usage = TokenUsage(input=profile.prompt_tokens * 4)
        for number in range(1, HOPELESS_ATTEMPTS + 1):
            self._add_call(request, price, usage, at, 30_000, number=number, error_code="TIMEOUT")
            at += timedelta(seconds=32)
        return HOPELESS_ATTEMPTS

    def _add_hit(self, request: Row, price: ModelPrice, profile: Profile, at: datetime) -> None:
        """An answer of the cache: no provider call, and what one would have cost."""
        worth = cost_of(TokenUsage(input=profile.prompt_tokens, output=profile.output_tokens), price)
        entry = self._entry({**request, "id": None, "finished_at": at}, CACHE_HIT, HIT_LATENCY_MS)
        self._writer.add_entry(entry | {"saved_nano": worth, "cache_hits": 1})

    def _attempt(self, request: Row, price: ModelPrice, at: datetime, latency_ms: int, number: int) -> Row:
        dearest = max(price.input, price.cache_read, price.cache_write)
        bound = (request["prompt_tokens"] * 16 * dearest + request["max_tokens"] * price.output) // TOKENS_PER_PRICE
        external_id, self._mark = self._mark, None
        return {
            **request,
            "id": self._identity(at),
            "number": number,
            "price_id": price.pk,
            "external_id": external_id,
            "bound_nano": bound,
            "cost_nano": 0,
            "error_code": "",
            "error_message": "",
            "created_at": at,
            "dispatched_at": at,
            "finished_at": at + latency_ms * MS,
        }

    def _entry(self, attempt: Row, kind: str, latency_ms: int | None) -> Row:
        return {
            **attempt,
            **NO_TOKENS,
            "at": attempt["finished_at"],
            "kind": kind,
            "attempt_id": attempt["id"],
            "nano": 0,
            "saved_nano": 0,
            "calls": 1,
            "errors": 0,
            "cache_hits": 0,
            "latency_ms": latency_ms,
        }


NO_TOKENS = {
    "input_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 0,
    "reasoning_tokens": 0,
}


def _tokens(usage: TokenUsage) -> Row:
    return {
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
    }


def _price(profile: Profile, at: datetime) -> ModelPrice:
    """Of the first of the profile's models that had a price then. Raises ModelNotPricedError where none had."""
    for provider, model in profile.models[:-1]:
        try:
            return price_of(provider, model, at=at)
        except ModelNotPricedError:
            continue
    return price_of(*profile.models[-1], at=at)
