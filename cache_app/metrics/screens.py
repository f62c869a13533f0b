"""What the cache page shows besides its charts."""

from collections.abc import Sequence
from dataclasses import dataclass

from cache_app.embedding.registry import configured_embedder
from cache_app.metrics import counts
from cache_app.metrics.ranges import DayRange
from cache_app.metrics.stats import CacheStats, WrongShare, cache_stats
from cache_app.metrics.what_if import WhatIf, what_if
from cache_app.models import CacheMode, CachePolicy, ProposalState, ThresholdProposal

MODES = {
    CacheMode.EXACT: "Only exact matches are answered from the cache, not semantic matches.",
    CacheMode.SHADOW: (
        "Shadow mode: every request goes to its provider, and the answer is compared with the cached one."
    ),
    CacheMode.OFF: "The cache is off: it serves and stores nothing.",
}


@dataclass(frozen=True)
class Proposal:
    """An open proposal, in percent."""

    proposal: ThresholdProposal

    @property
    def wrong_at_most(self) -> float:
        """Percent of semantic answers, at 90% confidence."""
        return 100 * self.proposal.error_upper

    @property
    def target(self) -> float:
        """Percent that the organization allows."""
        return 100 * self.proposal.error_target

    @property
    def hits_kept(self) -> float:
        """Percent of the current hits; above 100 for more."""
        return 100 * self.proposal.hits_kept


@dataclass(frozen=True)
class Overview:
    """The page's data."""

    stats: CacheStats
    policy: CachePolicy
    threshold: float

    @property
    def is_untouched(self) -> bool:
        """Whether there were no lookups in this range and nothing is cached."""
        return not self.stats.looks and not self.stats.total_entries

    @property
    def mode(self) -> str:
        """The organization's mode, unless it is the default."""
        return MODES.get(CacheMode(self.policy.mode), "")

    @property
    def wrong(self) -> "Measured | None":
        """How often semantic answers are wrong. None if nothing is judged."""
        return Measured.of(self.stats.wrong_share)


@dataclass(frozen=True)
class Measured:
    """The share of wrong answers in percent, its bounds at 90% confidence, and the number of labels."""

    percent: float
    low: float
    high: float
    judged: int

    @classmethod
    def of(cls, found: WrongShare) -> "Measured | None":
        """None if nothing is judged."""
        if found.share is None:
            return None
        return cls(100 * found.share, 100 * found.low, 100 * found.high, found.right + found.wrong)


def overview(organization_id: int, view: DayRange) -> Overview:
    """Four queries."""
    policy = _policy(organization_id)
    return Overview(cache_stats(organization_id, view.days), policy, _threshold(policy))


def present_threshold(organization_id: int) -> float:
    """The cosine in force: the organization's, else the embedder's. One query."""
    return _threshold(_policy(organization_id))


def other_thresholds(organization_id: int, view: DayRange, present: float) -> Sequence[WhatIf]:
    """What other thresholds would have done in the range. One query."""
    return what_if(counts.totals(organization_id, view.since), present, configured_embedder().scale)


def _policy(organization_id: int) -> CachePolicy:
    """Read from the database: what another process remembers could contradict what was just saved."""
    stored = CachePolicy.objects.filter(organization_id=organization_id).first()
    return stored or CachePolicy(organization_id=organization_id)


def _threshold(policy: CachePolicy) -> float:
    return configured_embedder().scale.edge if policy.threshold is None else policy.threshold


def open_proposal() -> Proposal | None:
    """The open proposal of the organization in scope, if any."""
    proposal = ThresholdProposal.objects.filter(state=ProposalState.OPEN).first()
    return Proposal(proposal) if proposal else None
