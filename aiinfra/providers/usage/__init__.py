"""Converts the usage a provider reports, in any spelling, to the disjoint classes of `TokenUsage`."""

from aiinfra.providers.usage.counts import TOKENS_MAX
from aiinfra.providers.usage.raw import storable, with_tier
from aiinfra.providers.usage.reading import anthropic_usage, embedding_usage, of_answer, openai_usage, usage_again

__all__ = [
    "TOKENS_MAX",
    "anthropic_usage",
    "embedding_usage",
    "of_answer",
    "openai_usage",
    "storable",
    "usage_again",
    "with_tier",
]
