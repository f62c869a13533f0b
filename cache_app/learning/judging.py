"""Judgments of hits, and their consequences for the entry that gave the answer.

The database is the source of truth, Redis a copy. A wrong pair is recorded and, once committed, immediately blocked in
Redis. While Redis is down the cache serves nothing; when it is back `apply_blocks`, run every minute, catches up,
`blocks_of` is included in every entry that is stored again, and the lookup can check `is_wrong_pair` last, which leaves
no gap.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.one_by_one import one_by_one
from aiinfra.tenants import audit
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.statements import Parameter
from cache_app import question
from cache_app.models import CacheHit, JudgedBy, JudgedPair, Judgement, Layer
from cache_app.models.learning import BY_PEOPLE
from cache_app.policy import policy_of
from cache_app.store.clearing import delete
from cache_app.store.entries import block, fetch_one
from cache_app.store.entry import Entry

logger = logging.getLogger(__name__)

BAR_RISE = 0.02
"""A text as similar as one that got a wrong answer is not similar enough; nor is a slightly more similar one."""
HIGHEST_BAR = 0.999
WRONG_HITS_MAX = 1
"""An entry that was wrong twice is removed."""
LONGEST_LIFE = timedelta(days=90)
"""No entry lives longer (`CachePolicy.ttl_hours`): older judgments concern no existing entry."""
OWN_TEXT = Q(question_id=F("entry_id"))


class UnknownHitError(LookupError):
    """The request has no hit on that entry."""


@dataclass(frozen=True)
class Blocks:
    """Restrictions from an entry's judgments: texts that it must not answer, and the cosine that it requires.

    `bar` is 0 if there is no minimum.
    """

    question_ids: frozenset[str]
    bar: float


def report(
    *,
    organization_id: int,
    entry_id: str,
    request_id: UUID,
    correct: bool,
    actor: str,
    judged_by: JudgedBy = JudgedBy.REPORT,
) -> CacheHit:
    """Report whether the answer that a request got from an entry was right; see `judge`. Raises UnknownHitError."""
    if not CacheHit.objects.filter(organization_id=organization_id, id=request_id, entry_id=entry_id).exists():
        raise UnknownHitError("That request was not answered from that entry.")
    return judge(organization_id=organization_id, hit_id=request_id, is_right=correct, actor=actor, judged_by=judged_by)


@transaction.atomic
def judge(
    *, organization_id: int, hit_id: UUID, is_right: bool, actor: str, judged_by: JudgedBy = JudgedBy.REVIEW
) -> CacheHit:
    """Judge a hit as right or wrong. Raises UnknownHitError.

    A wrong hit blocks the pair and raises the entry's own threshold; the second wrong hit of an entry, or one for its
    own text, removes the entry. The last judgment counts: right after wrong lifts the block.
    """
    hit = CacheHit.objects.select_for_update().filter(organization_id=organization_id, id=hit_id).first()
    if hit is None:
        raise UnknownHitError("This hit does not exist.")
    before, judgement = hit.judgement, Judgement.RIGHT if is_right else Judgement.WRONG
    hit.judgement, hit.judged_by, hit.judged_at = judgement, judged_by, timezone.now()
    hit.save(update_fields=["judgement", "judged_by", "judged_at"])
    write_pair(hit, is_right=is_right)
    if before != judgement:
        audit.record(
            organization_id=organization_id,
            actor=actor,
            verb="cache_hit.judged",
            target=f"answer of cache entry {hit.entry_id} to request {hit.id}",
            changes={"judgement": [before, str(judgement)]},
        )
    transaction.on_commit(partial(_line_up_soon, organization_id, hit.entry_id))
    return hit


def write_pair(hit: CacheHit, *, is_right: bool) -> None:
    """Record the judgment of a hit's two texts, in the caller's transaction.

    Nothing is recorded if retention has deleted the text: the entry is removed instead.
    """
    question_id = question_id_of(hit)
    if question_id:
        JudgedPair.objects.update_or_create(
            organization_id=hit.organization_id,
            entry_id=hit.entry_id,
            question_id=question_id,
            defaults={
                "at": hit.judged_at or timezone.now(),
                "embedder": hit.embedder,
                "partition": hit.partition,
                "similarity": hit.similarity,
                "is_right": is_right,
                "judged_by": hit.judged_by,
                "weight": weight_of(hit),
            },
        )


def weight_of(hit: CacheHit) -> float:
    """How many hits this one represents: 1 / the current sampling share if it was sampled."""
    share = policy_of(hit.organization_id).reask_share if hit.reasked_at else 0.0
    return 1 / share if share else 1.0


def blocks_of(organization_id: int, entry_id: str) -> Blocks:
    """What to include when the entry is stored again; one query."""
    wrong = _wrong_pairs_of_entry.run(organization=organization_id, entry_id=entry_id)
    pairs = {pair.question_id: pair.similarity for pair in wrong}
    bars = [min(similarity + BAR_RISE, HIGHEST_BAR) for similarity in pairs.values()]
    return Blocks(frozenset(pairs), max(bars, default=0.0))


_wrong_pairs_of_entry = JudgedPair.objects.prepare_select(
    lambda pairs: pairs.filter(
        organization_id=Parameter("organization", "organization_id"), entry_id=Parameter("entry_id"), is_right=False
    ).exclude(OWN_TEXT)
)


def is_wrong_pair(organization_id: int, entry_id: str, question_id: str) -> bool:
    """Whether the entry's answer was judged wrong for that other question: one query by a unique index."""
    return _wrong_pairs(organization_id, entry_id).filter(question_id=question_id).exclude(OWN_TEXT).exists()


def apply_blocks() -> int:
    """Apply what Redis missed, in the organizations in scope. Returns how many judged entries exist.

    Raises RedisError. Changes nothing if Redis is up to date.
    """
    judged = JudgedPair.objects.filter(BY_PEOPLE, at__gte=timezone.now() - LONGEST_LIFE)
    lined_up: list[bool] = []
    pairs = set(judged.values_list("organization_id", "entry_id"))
    one_by_one(sorted(pairs), lambda pair: lined_up.append(_line_up(*pair)))
    return sum(lined_up)


def _line_up_soon(organization_id: int, entry_id: str) -> None:
    try:
        with organization_scope(organization_id):
            _line_up(organization_id, entry_id)
    except RedisError:
        logger.warning("judgment not applied in Redis; retrying every minute", exc_info=True)


def _line_up(organization_id: int, entry_id: str) -> bool:
    """Apply an entry's judgments in Redis. False if it is gone. Safe to repeat."""
    entry = fetch_one(organization_id, entry_id)
    if entry is None:
        return False
    blocks = blocks_of(organization_id, entry_id)
    if _must_go(entry) or entry.blocked - blocks.question_ids:
        delete(organization_id, entry_id)
        return True
    for question_id in blocks.question_ids - entry.blocked:
        block(organization_id, entry_id, question_id, blocks.bar)
    return True


def _must_go(entry: Entry) -> bool:
    """Whether this answer, not an earlier one of the entry, was wrong too often, or wrong for its own text."""
    created_at = datetime.fromtimestamp(entry.created_ms / 1000, UTC)
    wrong = CacheHit.objects.filter(
        organization_id=entry.organization_id, entry_id=entry.id, judgement=Judgement.WRONG, at__gte=created_at
    )
    judged = [question_id_of(hit) for hit in wrong.only("layer", "entry_id", "partition", "question")]
    return len(judged) > WRONG_HITS_MAX or not {"", entry.id}.isdisjoint(judged)


def question_id_of(hit: CacheHit) -> str:
    """The entry ID that the asked text would have; "" if the text is gone."""
    if hit.layer != Layer.SEMANTIC:
        return hit.entry_id
    return question.entry_id(hit.partition, hit.question) if hit.question else ""


def _wrong_pairs(organization_id: int, entry_id: str) -> QuerySet[JudgedPair]:
    return JudgedPair.objects.filter(organization_id=organization_id, entry_id=entry_id, is_right=False)
