"""Fill the cache ahead of time, with known answers and with questions sent through the queue.

A warm-up question is a normal request with the lowest priority, within the budgets. Its answer is cached when a worker
has it. Questions whose answers are already cached are skipped.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from cache_app import create_semantic_cache
from cache_app.facade import CacheKey, LookupResult, NewEntry, Payer
from cost_app.facade import BudgetRefusedError, ModelNotPricedError
from queue_app.caching.cache_answer import WARMS
from queue_app.caching.repeat import copy_of
from queue_app.models import RequestContent, Status
from queue_app.packing import unpack
from queue_app.submission.intake import UnknownProviderError, accept, call_terms
from queue_app.submission.room import QueueFullError
from queue_app.submission.submission import Submission

cache = create_semantic_cache()

OFTEN = 2
"""A question asked at least this many times is worth caching."""
CHUNK = 500
ANSWERS_PER_BATCH = 10
"""Answers stored in one batch: an embedder takes this many questions per call."""


@dataclass(frozen=True)
class WarmQuestion:
    """A question whose answer should be in the cache, its place there, and the answer if it is known."""

    submission: Submission
    cache_key: CacheKey
    answer: str = ""


@dataclass
class WarmResult:
    """The result. `refusals` counts, by reason, the questions that could not be sent."""

    asked: int = 0
    given: int = 0
    known: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


def frequent_questions(organization_id: int, *, days: int, limit: int) -> Iterator[WarmQuestion]:
    """The most frequent questions of the last days, asked at least twice, in the organization's scope.

    Reads the contents of all requests of those days: use it in a command, not on a page.
    """
    counts: Counter[str] = Counter()
    latest: dict[str, UUID] = {}
    since = timezone.now() - timedelta(days=days)
    ended = RequestContent.objects.filter(
        organization_id=organization_id, request__created_at__gte=since, request__status=Status.COMPLETED
    )
    for request_id, call in ended.order_by("request__created_at").values_list("request_id", "call").iterator(CHUNK):
        if packed := unpack(call)["cache"]:
            counts[packed["entry"]] += 1
            latest[packed["entry"]] = request_id
    for entry_id, count in counts.most_common(limit):
        if count >= OFTEN:
            yield _again(latest[entry_id])


def _again(request_id: UUID) -> WarmQuestion:
    content = RequestContent.objects.select_related("request").get(request_id=request_id)
    call = unpack(content.call)
    submission = copy_of(content.request, call, cache_mode="refresh", metadata=WARMS)
    return WarmQuestion(submission, CacheKey.unpacked(call["cache"]))


def warm(wanted: Iterable[WarmQuestion], *, dry_run: bool = False) -> WarmResult:
    """Store or request everything that the cache lacks. Raises CacheAwayError if an answer cannot be stored."""
    warmed, seen, answers = WarmResult(), set[str](), list[WarmQuestion]()
    for each in wanted:
        if each.cache_key.entry_id in seen or cache.look_up_exact(each.cache_key):
            warmed.known += 1
            continue
        seen.add(each.cache_key.entry_id)
        if each.answer:
            warmed.given += 1
            answers.append(each)
            if len(answers) == ANSWERS_PER_BATCH:
                _store_answers(answers, dry_run=dry_run)
                answers = []
        elif refusal := "" if dry_run else _ask(each):
            warmed.refusals[refusal] += 1
        else:
            warmed.asked += 1
    _store_answers(answers, dry_run=dry_run)
    return warmed


def _store_answers(answers: list[WarmQuestion], *, dry_run: bool) -> None:
    """Store several answers of one organization at once: their questions are embedded together."""
    if answers and not dry_run:
        payer = Payer(answers[0].submission.organization_id)
        cache.store_many([(each.cache_key, _new_entry(each)) for each in answers], payer)


def _new_entry(wanted: WarmQuestion) -> NewEntry:
    asked = wanted.submission
    return NewEntry(
        response={"role": "assistant", "content": wanted.answer, "finishReason": "stop"},
        usage=TokenUsage(),
        provider=asked.provider,
        model=asked.model,
        tags=tuple(asked.tags),
        origin="given",
    )


def _ask(wanted: WarmQuestion) -> str:
    """Why the question was refused, or "" if it was accepted."""
    try:
        accept(wanted.submission, call_terms(wanted.submission), LookupResult(wanted.cache_key))
    except (BudgetRefusedError, ModelNotPricedError, QueueFullError, UnknownProviderError) as refusal:
        return str(refusal)
    return ""
