"""Queue, requests and attempts as the queue pages show them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zlib import crc32

from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.providers import breaker
from aiinfra.providers.breaker import BreakerState
from aiinfra.redis import redis_client
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptState
from queue_app.control import CANCELLED
from queue_app.models import LIVE, AIRequest, Priority, QueuePolicy, Status
from queue_app.processing.heartbeat import WorkerBeat
from queue_app.processing.outcomes import WORKER_LOST
from queue_app.request_lists import PAGE_SIZE, RequestList, Sums, sums_of
from queue_app.stats.outages import Outage, outages
from queue_app.stats.summary import RATE_WINDOW, LaneStats, QueueStats, queue_stats

cost = create_cost_optimizer()

MS = timedelta(milliseconds=1)
WORKERS_SHOWN = 20
CHARTED = timedelta(hours=1)
ERROR_RATE_WARNS, ERROR_RATE_ALARMS = 5, 20
"""Percent of the requests that ended within the rate window."""

WORDS_FOR_STATE = {
    AttemptState.RESERVED: "not sent yet",
    AttemptState.DISPATCHED: "sent, waiting for the answer",
    AttemptState.SETTLED: "charged",
    AttemptState.ESTIMATED: "booked at its upper bound until the provider reports the actual cost",
    AttemptState.RELEASED: "not charged",
}
COUNTED_HERE = "booked by our own token count because the provider sent no usable one"
WORDS_FOR_ERROR = {
    WORKER_LOST: "The worker was lost while it ran this attempt.",
    CANCELLED: "Cancelled before the call was sent.",
}
TONES = {AttemptState.DISPATCHED: "info", AttemptState.SETTLED: "good", AttemptState.ESTIMATED: "warn"}
TONES_OF_ERRORS = {CANCELLED: ""}
TOKEN_CLASSES = {
    "input": "input_tokens",
    "cache read": "cache_read_tokens",
    "cache write": "cache_write_tokens",
    "1-hour cache write": "cache_write_1h_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}


@dataclass(frozen=True)
class Lane:
    """One priority of the live page."""

    priority: Priority
    stats: LaneStats
    is_paused: bool

    @property
    def name(self) -> str:
        """As in URLs and styles: critical, high, normal, low."""
        return self.priority.name.lower()


@dataclass(frozen=True)
class Worker:
    """One worker process of the live page."""

    beat: WorkerBeat

    @property
    def slots(self) -> list[bool]:
        """One value per slot: whether it is busy."""
        return [number < self.beat.busy for number in range(self.beat.slots)]

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.beat.started_at, UTC)

    @property
    def memory_mb(self) -> float:
        """Resident set in megabytes."""
        return self.beat.memory_bytes / 1_000_000


@dataclass(frozen=True)
class LiveQueue:
    """Everything on the live page except its charts."""

    stats: QueueStats
    lanes: Sequence[Lane]
    circuits: Sequence[BreakerState]
    redis_answers: bool
    outages: Sequence[Outage]
    failed_attempts: int
    """Provider calls that failed within the rate window, including those whose request was answered later."""

    @property
    def held_back(self) -> int:
        """Pending requests whose next attempt is not due: they wait out the pause after a failed one."""
        return sum(self.stats.held.values())

    @property
    def limited(self) -> int:
        """Pending requests whose model accepts no more calls this minute."""
        return sum(self.stats.limited.values())

    @property
    def workers(self) -> list[Worker]:
        """The first workers; `stats.workers` has all of them."""
        return [Worker(beat) for beat in self.stats.workers[:WORKERS_SHOWN]]

    @property
    def workers_left_out(self) -> int:
        """How many workers are not shown."""
        return max(0, len(self.stats.workers) - WORKERS_SHOWN)

    @property
    def slots(self) -> int:
        """Requests that all workers can process at once."""
        return sum(beat.slots for beat in self.stats.workers)

    @property
    def busy(self) -> int:
        """Slots in use, by any organization."""
        return sum(beat.busy for beat in self.stats.workers)

    @property
    def paused(self) -> int:
        """How many priorities are paused."""
        return sum(lane.is_paused for lane in self.lanes)

    @property
    def error_tone(self) -> str:
        """Severity of the error rate: "", warn or bad. Failed attempts warn before a request fails."""
        rate = self.stats.recent.error_rate or 0
        if rate >= ERROR_RATE_ALARMS:
            return "bad"
        return "warn" if rate >= ERROR_RATE_WARNS or self.outages else ""

    @property
    def is_untouched(self) -> bool:
        """Whether the organization has never sent a request."""
        stats = self.stats
        ended = stats.total_processed + stats.total_failed + stats.total_cancelled
        return not (ended or stats.queue_size or stats.processing)


def live_queue() -> LiveQueue:
    """The queue of the organization in scope: nine queries and three Redis reads, whatever the size."""
    stats = queue_stats()
    policy = QueuePolicy.objects.first()
    paused = policy.paused_priorities if policy else []
    answers = _redis_answers()
    circuits = breaker.states() if answers else []
    minutes = cost.model_minutes(CHARTED)
    since = timezone.now() - RATE_WINDOW
    return LiveQueue(
        stats=stats,
        lanes=[Lane(priority, lane, priority in paused) for priority, lane in stats.lanes.items()],
        circuits=circuits,
        redis_answers=answers,
        outages=outages(cost.model_states(), minutes, stats.held, circuits),
        failed_attempts=sum(minute.failures for minute in minutes if minute.minute > since),
    )


def _redis_answers() -> bool:
    try:
        redis_client().ping()
    except RedisError:
        return False
    return True


@dataclass(frozen=True)
class RequestRow:
    """One line of the list, and the header of a request's page."""

    request: AIRequest
    sums: Sums

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.request.status in LIVE

    @property
    def version(self) -> str:
        """Another one whenever the line would show something else. Ages count up by themselves."""
        request, sums = self.request, self.sums
        shown = (request.status, request.error_code, request.started_at, request.completed_at, sums)
        return f"{crc32(repr(shown).encode()):08x}"

    @property
    def can_retry(self) -> bool:
        """Whether its status allows a retry."""
        return self.request.status in (Status.FAILED, Status.CANCELLED)

    @property
    def wait_ms(self) -> int:
        """Time from acceptance to the first claim; without a claim, until it ended or now."""
        request = self.request
        return ((request.started_at or request.completed_at or timezone.now()) - request.created_at) // MS

    @property
    def run_ms(self) -> int | None:
        """Time from the first claim to the end, or now. None if it was never claimed."""
        request = self.request
        return ((request.completed_at or timezone.now()) - request.started_at) // MS if request.started_at else None

    @property
    def due_in_ms(self) -> int:
        """Time until the next attempt is due; 0 if it is not held."""
        waits = self.request.status == Status.PENDING
        return max(0, (self.request.not_before - timezone.now()) // MS) if waits else 0


def request_rows(page: RequestList) -> list[RequestRow]:
    """The lines of a page."""
    return [RequestRow(each, page.sums.get(each.id, Sums())) for each in page.requests]


def changed_rows(shown: str) -> list[RequestRow]:
    """Of the lines that a page shows, as `<id>.<version>,…`, those that have another version now.

    Two queries. What is no id, another organization's or beyond the size of a page is left out.
    """
    versions: dict[UUID, str] = {}
    for line in shown.split(",")[:PAGE_SIZE]:
        name, _, version = line.partition(".")
        with suppress(ValueError):
            versions[UUID(name)] = version
    found = list(AIRequest.objects.filter(id__in=versions))
    rows = request_rows(RequestList(found, sums_of(found)))
    return [row for row in rows if row.version != versions[row.request.id]]


@dataclass(frozen=True)
class Step:
    """One provider call on a request's timeline."""

    attempt: Attempt
    is_fallback: bool
    is_manual_retry: bool

    @property
    def outcome(self) -> str:
        """What was booked for the call, as text."""
        if self.attempt.state == AttemptState.ESTIMATED and self.attempt.usage.total:
            return COUNTED_HERE
        return WORDS_FOR_STATE[AttemptState(self.attempt.state)]

    @property
    def tone(self) -> str:
        """good, info, warn, bad or nothing."""
        if code := self.attempt.error_code:
            return TONES_OF_ERRORS.get(code, "bad")
        return TONES.get(AttemptState(self.attempt.state), "")

    @property
    def error(self) -> str:
        """The error, in our own words where they are clearer than the provider's."""
        return WORDS_FOR_ERROR.get(self.attempt.error_code, self.attempt.error_message)

    @property
    def latency_ms(self) -> int | None:
        """Time from sending the call to its end. None if it was not sent or is still running."""
        sent, ended = self.attempt.dispatched_at, self.attempt.finished_at
        return (ended - sent) // MS if sent and ended else None

    @property
    def tokens(self) -> dict[str, int]:
        """Token class or tool label -> count, without zeros."""
        counts = {words: getattr(self.attempt, column) for words, column in TOKEN_CLASSES.items()}
        counts |= {f"{tool.replace('_', ' ')} uses": uses for tool, uses in self.attempt.tool_uses.items()}
        return {words: count for words, count in counts.items() if count}


def timeline(request: AIRequest, attempts: Sequence[Attempt]) -> list[Step]:
    """A request's attempts, oldest first."""
    steps: list[Step] = []
    before = (request.provider, request.model)
    for attempt in attempts:
        model = (attempt.provider, attempt.model)
        by_hand = attempt.number == request.first_attempt_number and attempt.number > 1
        steps.append(Step(attempt, model != before and not by_hand, by_hand))
        before = model
    return steps
