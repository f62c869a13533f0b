"""Requests and figures in the contract's field names."""

from datetime import UTC, datetime

from aiinfra.money import dollars
from aiinfra.providers.base import TokenUsage
from cost_app.facade import Attempt
from queue_app.models import AIRequest
from queue_app.payloads import (
    AttemptOut,
    ByPriority,
    QueueStatsOut,
    RequestOut,
    RequestPage,
    RequestSummary,
    ResponseOut,
    UsageOut,
    WorkerOut,
    priority_name,
)
from queue_app.processing.heartbeat import WorkerBeat
from queue_app.queries import RequestStatus
from queue_app.request_lists import RequestList, Sums
from queue_app.stats.summary import QueueStats


def request_out(status: RequestStatus) -> RequestOut:
    """One request with its attempts."""
    usage = status.usage
    return RequestOut(
        **summary(status.request, status.cost_nano).model_dump(),
        position=status.position,
        attempts=[attempt_out(attempt) for attempt in status.attempts],
        response=ResponseOut.model_validate(status.response) if status.response else None,
        usage=usage and usage_out(usage),
    )


def usage_out(usage: TokenUsage) -> UsageOut:
    """The tokens of a call."""
    return UsageOut(
        prompt_tokens=usage.prompt,
        completion_tokens=usage.output,
        total_tokens=usage.total,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        reasoning_tokens=usage.reasoning,
    )


def summary(request: AIRequest, cost_nano: int) -> RequestSummary:
    """One line of a list."""
    return RequestSummary(
        request_id=str(request.id),
        status=request.status,
        priority=priority_name(request.priority),
        provider=request.provider,
        model=request.model,
        created_at=request.created_at,
        started_at=request.started_at,
        completed_at=request.completed_at,
        cost=dollars(cost_nano),
        cached=request.cached,
        error=request.error_message or request.error_code or None,
    )


def attempt_out(attempt: Attempt) -> AttemptOut:
    """One provider call."""
    latency = attempt.finished_at - attempt.dispatched_at if attempt.finished_at and attempt.dispatched_at else None
    return AttemptOut(
        provider=attempt.provider,
        model=attempt.model,
        status=attempt.state,
        latency_ms=round(latency.total_seconds() * 1000) if latency is not None else None,
        cost=dollars(attempt.cost_nano),
        error=": ".join(filter(None, [attempt.error_code, attempt.error_message])) or None,
    )


def page_out(page: RequestList) -> RequestPage:
    """A page of requests."""
    summaries = [summary(request, page.sums.get(request.id, Sums()).cost_nano) for request in page.requests]
    return RequestPage(requests=summaries, next_cursor=page.next_cursor)


def stats_out(stats: QueueStats) -> QueueStatsOut:
    """The figures of the queue."""
    recent = stats.recent
    return QueueStatsOut(
        queue_size=stats.queue_size,
        processing=stats.processing,
        total_processed=stats.total_processed,
        total_failed=stats.total_failed,
        total_cancelled=stats.total_cancelled,
        by_priority=ByPriority(**{priority_name(p): lane.pending for p, lane in stats.lanes.items()}),
        held_for_retry=sum(stats.held.values()),
        waiting_for_provider_limit=sum(stats.limited.values()),
        oldest_pending_seconds=stats.oldest_pending_seconds,
        average_wait_ms=recent.average_wait_ms,
        average_processing_ms=recent.average_run_ms,
        throughput_per_minute=round(recent.throughput_per_minute, 2),
        error_rate=recent.error_rate,
        workers=[worker_out(beat) for beat in stats.workers],
    )


def worker_out(beat: WorkerBeat) -> WorkerOut:
    """One worker process."""
    return WorkerOut(
        name=beat.name,
        host=beat.host,
        pid=beat.pid,
        slots=beat.slots,
        busy=beat.busy,
        stopping=beat.stopping,
        memory_bytes=beat.memory_bytes,
        last_seen=datetime.fromtimestamp(beat.at, UTC),
    )
