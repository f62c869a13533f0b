"""The metrics that processes record, and the functions that record them.

Organizations are labeled by ID here; `aiinfra.metrics.reading` replaces it with the slug. Recording never fails:
without its files, a process records nothing. Money is recorded in nano-dollars and read in dollars.
"""

from bisect import bisect_left
from collections.abc import Mapping
from math import inf
from typing import Generic, TypeVar

from prometheus_client.mmap_dict import mmap_key
from prometheus_client.utils import floatToGoString

from aiinfra.metrics.files import add

COUNTER_SERIES_MAX, HISTOGRAM_SERIES_MAX = 300, 100
"""Label sets per metric and process. Everything beyond them is recorded under `OTHER`."""
OTHER = "other"
LABEL_MAX = 100
LATENCIES_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
FIRST_TOKENS_S = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30)
WAITS_S = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 120, 600, 3600)
POOL_WAITS_S = (0.001, 0.01, 0.1, 0.5, 1, 5)
CALL = ("organization", "provider", "model")
Labels = dict[str, str]
Keys = TypeVar("Keys")


class _Recorded(Generic[Keys]):
    """A metric whose label sets are bounded. The keys of its values in the files are written once per label set."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], series_max: int) -> None:
        self.name, self._text, self._labels = f"aiinfra_{name}", text, labels
        self._series_max = series_max
        self._known: dict[tuple[str, ...], Keys] = {}

    def _keys(self, given: tuple[object, ...]) -> Keys:
        """The keys of a label set. Two threads may exceed the maximum by one."""
        texts = tuple(str(label)[:LABEL_MAX] for label in given)
        if texts not in self._known and len(self._known) >= self._series_max:
            texts = (OTHER,) * len(texts)
        if texts not in self._known:
            self._known[texts] = self._written(dict(zip(self._labels, texts, strict=True)))
        return self._known[texts]

    def _written(self, labels: Labels) -> Keys:
        raise NotImplementedError

    def _key(self, suffix: str, labels: Labels) -> str:
        return mmap_key(self.name, self.name + suffix, list(labels), list(labels.values()), self._text)


class _Counter(_Recorded[str]):
    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        super().__init__(name, text, labels, COUNTER_SERIES_MAX)

    def _written(self, labels: Labels) -> str:
        return self._key("_total", labels)

    def add(self, amount: float, *labels: object) -> None:
        add("counter", {self._keys(labels): amount})


class _Histogram(_Recorded[list[str]]):
    def __init__(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        super().__init__(f"{name}_seconds", text, labels, HISTOGRAM_SERIES_MAX)
        self._buckets = (*buckets, inf)

    def _written(self, labels: Labels) -> list[str]:
        ends = [self._key("_bucket", {**labels, "le": floatToGoString(end)}) for end in self._buckets]
        return [*ends, self._key("_sum", labels)]

    def observe(self, seconds: float, *given: object) -> None:
        """Empty buckets are written too, so that every process has all of them."""
        *ends, total = self._keys(given)
        bucket = bisect_left(self._buckets, seconds)
        add("histogram", {**{end: int(number == bucket) for number, end in enumerate(ends)}, total: seconds})


_attempts = _Counter("attempts", "Provider calls that ended, by outcome and error code.", (*CALL, "outcome", "error"))
_spend = _Counter("spend_nano_dollars", "Cost of provider calls in US dollars, as booked in the ledger.", CALL)
_corrections = _Counter(
    "spend_corrections_nano_dollars",
    "US dollars taken back when booked costs were corrected. Subtract this from aiinfra_spend_dollars_total.",
    CALL,
)
_saved = _Counter("cache_saved_nano_dollars", "US dollars that calls answered from the cache would have cost.", CALL)
_tokens = _Counter("tokens", "Tokens as booked in the ledger, by class.", (*CALL, "type"))
_latency = _Histogram("provider_latency", "Time that successful provider calls took.", CALL, LATENCIES_S)
_first_token = _Histogram(
    "time_to_first_token", "Time from sending streamed calls to the first part of their answers.", CALL, FIRST_TOKENS_S
)
_wait = _Histogram(
    "queue_wait",
    "Time from acceptance to the first start of requests that ended.",
    ("organization", "priority"),
    WAITS_S,
)
_duration = _Histogram(
    "request_duration",
    "Time from acceptance to the end of requests.",
    ("organization", "priority", "status"),
    WAITS_S,
)
_claims = _Counter("claims", "Requests taken for processing, by a worker or the direct lane.", ("organization", "lane"))
_lease_losses = _Counter(
    "lease_losses", "Requests taken from a process that stopped renewing its lease.", ("organization",)
)
_lookups = _Counter("cache_lookups", "Cache lookups, by result.", ("organization", "result"))
_responses = _Counter("api_responses", "Responses of the API, by endpoint and HTTP status.", ("endpoint", "status"))
_pool_wait = _Histogram("database_pool_wait", "Time that threads waited for a PostgreSQL connection.", (), POOL_WAITS_S)


def attempt_ended(call: tuple[int, str, str], outcome: str, error: str, latency_ms: int | None) -> None:
    """A provider call ended. `call` is the organization's ID, provider, and model; `error` is empty for a success."""
    _attempts.add(1, *call, outcome, error)
    if latency_ms is not None and not error:
        _latency.observe(latency_ms / 1000, *call)


def first_token(call: tuple[int, str, str], seconds: float) -> None:
    """The answer of a streamed call began this long after the call was sent, and was whole in the end."""
    _first_token.observe(seconds, *call)


def booked(call: tuple[int, str, str], nano: int, tokens: Mapping[str, int]) -> None:
    """The ledger got a row with this cost and these tokens, by class. Both are negative in corrections."""
    if nano:
        (_spend if nano > 0 else _corrections).add(abs(nano), *call)
    for kind, count in tokens.items():
        if count > 0:
            _tokens.add(count, *call, kind)


def saved(call: tuple[int, str, str], nano: int) -> None:
    """The cache answered a request for which a call would have cost this."""
    _saved.add(nano, *call)


def request_ended(organization_id: int, priority: str, status: str, wait_s: float | None, duration_s: float) -> None:
    """A request ended. `wait_s` is None if it never started."""
    if wait_s is not None:
        _wait.observe(max(wait_s, 0), organization_id, priority)
    _duration.observe(max(duration_s, 0), organization_id, priority, status)


def claimed(organization_id: int, lane: str) -> None:
    """A request was taken for processing by a `worker` or on the `direct` lane."""
    _claims.add(1, organization_id, lane)


def lease_lost(organization_id: int) -> None:
    """A request was taken from a process that stopped renewing its lease."""
    _lease_losses.add(1, organization_id)


def cache_looked_up(organization_id: int, result: str) -> None:
    """The cache was asked; `result` is the layer that answered, a reason for a miss, or an error."""
    _lookups.add(1, organization_id, result)


def responded(endpoint: str, status: int) -> None:
    """A call of the API was answered or refused."""
    _responses.add(1, endpoint, status)


def pool_waited(seconds: float) -> None:
    """A thread got a connection of the database's pool after this time."""
    _pool_wait.observe(seconds)
