"""Thresholds that keep the organization's error target, based on its own judged pairs. A person applies them.

Among thresholds from 0.80 to 0.97 the smallest whose pairs are wrong at most as often as the target allows, with 90%
confidence: 2% takes 114 labels without an error. Below the current threshold, where nothing has been served, the pairs
must meet the target on their own: those above it are no evidence for them. Hits that a fresh answer made doubtful
count as wrong until someone has judged them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from aiinfra.failures import WrongStateError
from aiinfra.one_by_one import one_by_one
from aiinfra.redis import redis_client
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cache_app.embedding.registry import configured_embedder
from cache_app.learning.interval import effective, upper_bound
from cache_app.learning.judging import OWN_TEXT, weight_of
from cache_app.metrics import counts
from cache_app.models import CacheHit, CachePolicy, JudgedPair, Judgement, Layer, ProposalState, ThresholdProposal
from cache_app.policy import change_policy

STEP = 0.01
THRESHOLDS = [percent / 100 for percent in range(80, 98)]
"""Below 0.80 too much is wrong whatever the guards say; above 0.97 hardly anything but exact matches is left."""
EVIDENCE = timedelta(days=90)
HITS_OF = timedelta(days=30)
DISMISSED_FOR = timedelta(days=30)
"""A dismissed threshold is not proposed again for this long."""
RAN_KEPT_S = 2 * 86_400


@dataclass(frozen=True)
class Label:
    """One judged pair. `weight` is the number of hits that it represents."""

    similarity: float
    is_wrong: bool
    weight: float


@dataclass(frozen=True)
class Safe:
    """A threshold that meets the target, and the labels that show it."""

    threshold: float
    pairs: int
    wrong: int
    error_upper: float


def propose_thresholds() -> int:
    """Propose a threshold for each organization with judged pairs, at most once per day. Returns the number of
    proposals.

    Raises RedisError: Redis stores the day's runs.
    """
    with system_scope():
        judged = JudgedPair.objects.filter(at__gte=timezone.now() - EVIDENCE).values("organization_id")
        organizations = Organization.objects.filter(id__in=judged).order_by("id")
        proposed: list[bool] = []
        due = [each for each in organizations if _first_today(each)]
        one_by_one(due, lambda each: proposed.append(_propose(each.pk)))
        return sum(proposed)


def smallest_safe(labels: Sequence[Label], present: float, target: float) -> Safe | None:
    """The smallest threshold that meets the target (a share). None if there are too few labels for any."""
    for threshold in THRESHOLDS:
        served = [label for label in labels if label.similarity >= threshold]
        unproven = [label for label in served if label.similarity < present]
        bound = _bound(served)
        if bound <= target and (threshold > present - STEP / 2 or _bound(unproven) <= target):
            return Safe(threshold, len(served), sum(label.is_wrong for label in served), bound)
    return None


@transaction.atomic
def apply_proposal(*, organization_id: int, proposal_id: int, actor: str) -> ThresholdProposal:
    """Make the proposal the organization's threshold. Raises WrongStateError and ThresholdProposal.DoesNotExist."""
    proposal = _decide(organization_id, proposal_id, ProposalState.APPLIED, actor)
    change_policy(organization_id=organization_id, changes={"threshold": proposal.threshold}, actor=actor)
    return proposal


@transaction.atomic
def dismiss_proposal(*, organization_id: int, proposal_id: int, actor: str) -> ThresholdProposal:
    """Dismiss a proposal. Raises WrongStateError and ThresholdProposal.DoesNotExist."""
    return _decide(organization_id, proposal_id, ProposalState.DISMISSED, actor)


def _decide(organization_id: int, proposal_id: int, state: ProposalState, actor: str) -> ThresholdProposal:
    proposal = ThresholdProposal.objects.select_for_update().get(organization_id=organization_id, id=proposal_id)
    if proposal.state != ProposalState.OPEN:
        raise WrongStateError(f"This proposal is already {proposal.state}.")
    proposal.state, proposal.decided_by, proposal.decided_at = state, actor, timezone.now()
    proposal.save(update_fields=["state", "decided_by", "decided_at"])
    audit.record(
        organization_id=organization_id,
        actor=actor,
        verb=f"cache_threshold.{state}",
        target=f"threshold {proposal.threshold:.2f}",
        changes={"state": [str(ProposalState.OPEN), str(state)]},
    )
    return proposal


@transaction.atomic
def _propose(organization_id: int) -> bool:
    """Replace the open proposal with today's. False if there is nothing new to propose."""
    embedder = configured_embedder()
    policy = CachePolicy.objects.filter(organization_id=organization_id).first() or CachePolicy()
    present = embedder.scale.edge if policy.threshold is None else policy.threshold
    safe = smallest_safe(_labels(organization_id, embedder.id), present, policy.error_target)
    proposals = ThresholdProposal.objects.filter(organization_id=organization_id, embedder=embedder.id)
    if safe and _is_at(proposals.filter(state=ProposalState.OPEN), safe):
        return False
    ThresholdProposal.objects.filter(organization_id=organization_id, state=ProposalState.OPEN).update(
        state=ProposalState.REPLACED
    )
    dismissed = proposals.filter(state=ProposalState.DISMISSED, decided_at__gte=timezone.now() - DISMISSED_FOR)
    if safe is None or abs(safe.threshold - present) < STEP / 2 or _is_at(dismissed, safe):
        return False
    ThresholdProposal.objects.create(
        organization_id=organization_id,
        embedder=embedder.id,
        threshold=safe.threshold,
        before=present,
        error_target=policy.error_target,
        pairs=safe.pairs,
        wrong=safe.wrong,
        error_upper=safe.error_upper,
        hits_kept=_hits_kept(organization_id, safe.threshold, present),
    )
    return True


def _labels(organization_id: int, embedder: str) -> list[Label]:
    mine = {"organization_id": organization_id, "embedder": embedder, "at__gte": timezone.now() - EVIDENCE}
    pairs = JudgedPair.objects.filter(**mine).exclude(OWN_TEXT)
    doubtful = CacheHit.objects.filter(**mine, judgement=Judgement.DOUBTFUL, layer=Layer.SEMANTIC)
    return [
        *(Label(pair.similarity, not pair.is_right, pair.weight) for pair in pairs),
        *(Label(hit.similarity, True, weight_of(hit)) for hit in doubtful.defer("question", "answer")),
    ]


def _bound(labels: Sequence[Label]) -> float:
    return upper_bound(*effective((label.is_wrong, label.weight) for label in labels))


def _is_at(proposals: QuerySet[ThresholdProposal], safe: Safe) -> bool:
    near = (safe.threshold - STEP / 2, safe.threshold + STEP / 2)
    return proposals.filter(threshold__range=near).exists()


def _hits_kept(organization_id: int, threshold: float, present: float) -> float:
    """Share of the last days' semantic hits, 1 if there were none; for a lower threshold, including its near misses."""
    found = counts.totals(organization_id, timezone.now() - HITS_OF)
    served, below = counts.histogram(found, "served"), counts.histogram(found, "below")
    lowest, until = round(threshold * 100), round(present * 100)
    kept = sum(number for percent, number in served.items() if percent >= lowest)
    gained = sum(number for percent, number in below.items() if lowest <= percent < until)
    return (kept + gained) / sum(served.values()) if served else 1.0


def _first_today(organization: Organization) -> bool:
    """Whether no other scheduler, and no earlier hour, has run for the organization today."""
    day = timezone.now().astimezone(ZoneInfo(organization.time_zone)).date()
    key = f"sc:{{{organization.pk}}}:proposed:{day}"
    return bool(redis_client().set(key, 1, nx=True, ex=RAN_KEPT_S))
