"""The cache's tables. Entries live in Redis; here are the settings, the hits, and what was learned."""

from cache_app.models.counts import CacheCount, CountSpan
from cache_app.models.hits import UNCOUNTED, CacheHit, JudgedBy, Judgement, Layer
from cache_app.models.learning import JudgedPair, ProposalState, ThresholdProposal
from cache_app.models.policy import CacheMode, CachePolicy, OtherLanguages, SharedWith

__all__ = [
    "UNCOUNTED",
    "CacheCount",
    "CacheHit",
    "CacheMode",
    "CachePolicy",
    "CountSpan",
    "JudgedBy",
    "JudgedPair",
    "Judgement",
    "Layer",
    "OtherLanguages",
    "ProposalState",
    "SharedWith",
    "ThresholdProposal",
]
