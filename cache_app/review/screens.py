"""Pairs waiting for a judgment, as the review page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from aiinfra.keyset import RowPage, row_page
from cache_app.models import CacheHit, JudgedBy, Judgement, Layer
from cache_app.review.words import Piece, compared

PAGE_SIZE = 10
RECENT = timedelta(days=30)
REPORTED = Q(judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
DOUBTFUL = Q(judgement=Judgement.DOUBTFUL)
UNJUDGED = Q(judgement="", layer=Layer.SEMANTIC)
KINDS = {"open": REPORTED | DOUBTFUL, "reported": REPORTED, "doubtful": DOUBTFUL, "unjudged": UNJUDGED}
TITLES = {"open": "To decide", "reported": "Reported", "doubtful": "Doubtful", "unjudged": "Not judged yet"}
DEFAULT_KIND = "open"


@dataclass(frozen=True)
class Pair:
    """A hit with its texts side by side; without the texts for users who cannot read them."""

    hit: CacheHit
    asked: Sequence[Piece] = ()
    cached: Sequence[Piece] = ()
    served: Sequence[Piece] = ()
    fresh: Sequence[Piece] = ()

    @classmethod
    def of(cls, hit: CacheHit, *, with_content: bool) -> "Pair":
        """Questions are compared with each other, and answers if there are two."""
        if not with_content:
            return cls(hit)
        served, fresh = compared(hit.answer, hit.fresh_answer) if hit.fresh_answer else ([Piece(hit.answer, False)], [])
        return cls(hit, *compared(hit.question, hit.cached_question), served, fresh)

    @property
    def is_gone(self) -> bool:
        """Whether retention has deleted the texts."""
        return not (self.hit.question or self.hit.cached_question)

    @property
    def verdict(self) -> str:
        """right or wrong, once judged."""
        return self.hit.judgement if self.hit.judgement in {Judgement.RIGHT, Judgement.WRONG} else ""


def hits_of(kind: str, cursor: str = "") -> RowPage[CacheHit]:
    """One page of the organization in scope, newest first; one query. Raises ValueError for an invalid cursor."""
    return row_page(_recent().filter(KINDS[kind]), "at", "id", cursor=cursor, size=PAGE_SIZE)


def count_hits() -> dict[str, int]:
    """Number of pairs by kind; one query."""
    return _recent().aggregate(**{kind: Count("id", filter=which) for kind, which in KINDS.items()})


def _recent() -> "QuerySet[CacheHit]":
    return CacheHit.objects.filter(at__gte=timezone.now() - RECENT)
