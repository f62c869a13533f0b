"""A request's progress in steps: cache, route, reservation, queue, attempts, cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from aiinfra.templatetags.formats import duration_ms, money
from cache_app import create_semantic_cache
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptState
from queue_app.facade import ENDED, AIRequest, RequestStatus, Status, status_of

cache = create_semantic_cache()
cost = create_cost_optimizer()

MS = 1000
NOT_ASKED = {"bypass": "Not asked: the cache is off.", "refresh": "Not asked: the answer replaces the stored one."}
STATES = {
    AttemptState.RESERVED: "not sent yet",
    AttemptState.DISPATCHED: "sent, waiting for the answer",
    AttemptState.SETTLED: "charged",
    AttemptState.ESTIMATED: "booked at its upper bound until the provider reports the actual cost",
    AttemptState.RELEASED: "not charged",
}


@dataclass(frozen=True)
class Step:
    """One step: its title, what happened, and its color, if any."""

    title: str
    text: str
    tone: str = ""


def steps_of(request: AIRequest) -> list[Step]:
    """What has happened to a request so far, in order. Six queries at most."""
    status = status_of(request, with_content=False)
    if request.cached:
        return [*_from_cache(request), _cost(status)]
    return [
        Step("Cache", NOT_ASKED.get(request.cache_mode, "No stored answer for this question.")),
        Step("Route", f"{request.provider}/{request.model}"),
        *_reservation(status),
        _queue(status),
        *(_attempt(attempt, request) for attempt in status.attempts),
        _cost(status),
    ]


def _from_cache(request: AIRequest) -> Iterator[Step]:
    hit = cache.hit_of(request.id)
    if hit is None:
        yield Step("Cache", "Answered with an identical request.", "good")
    elif hit.layer == "semantic":
        yield Step("Cache", f"Answered: semantic match, similarity {hit.similarity:.3f}.", "good")
    else:
        yield Step("Cache", "Answered: exact match.", "good")
    if hit is not None:
        yield Step("Saved", money(hit.saved_nano))


def _reservation(status: RequestStatus) -> Iterator[Step]:
    """The reservation in each budget until the call is recorded."""
    if not status.attempts:
        return
    newest = status.attempts[-1]
    left = cost.left_after(newest.id)
    room = "" if left is None else f" {money(left)} left in the tightest budget."
    is_booked = status.status in ENDED
    until = "was reserved until the call was booked" if is_booked else "is reserved until the call is booked"
    yield Step("Reservation", f"Up to {money(newest.bound_nano)} {until}.{room}")


def _queue(status: RequestStatus) -> Step:
    request = status.request
    if request.started_at:
        waited_ms = (request.started_at - request.created_at).total_seconds() * MS
        return Step("Queue", "Started immediately." if waited_ms < 1 else f"Started after {duration_ms(waited_ms)}.")
    if request.status in ENDED:
        return Step("Queue", "Ended before it started.")
    place = "" if status.position is None else f", place {status.position}"
    return Step("Queue", f"Waiting at {request.get_priority_display().lower()} priority{place}.", "info")


def _attempt(attempt: Attempt, request: AIRequest) -> Step:
    asked = (request.provider, request.model)
    name = attempt.name if (attempt.provider, attempt.model) == asked else f"{attempt.name} instead"
    parts = [name, STATES[AttemptState(attempt.state)], *_figures(attempt)]
    if attempt.error_code:
        parts.append(": ".join(filter(None, [attempt.error_code, attempt.error_message])))
    tone = "bad" if attempt.error_code else "good" if attempt.state == AttemptState.SETTLED else "info"
    return Step(f"Attempt {attempt.number}", ", ".join(parts), tone)


def _figures(attempt: Attempt) -> Iterator[str]:
    if attempt.dispatched_at and attempt.finished_at:
        yield duration_ms((attempt.finished_at - attempt.dispatched_at).total_seconds() * MS)
    if attempt.usage.total:
        yield f"{attempt.usage.prompt:,} tokens in, {attempt.usage.output:,} out"


def _cost(status: RequestStatus) -> Step:
    text = money(status.cost_nano)
    if status.status not in ENDED:
        return Step("Cost", f"{text} so far", "info")
    if status.status == Status.COMPLETED:
        return Step("Cost", f"{text}, an upper bound until the provider reports" if status.is_cost_estimated else text)
    if status.status == Status.CANCELLED:
        return Step("Cost", f"{text}. The request was cancelled.", "bad")
    return Step("Cost", f"{text}. The request failed: {status.error}", "bad")
