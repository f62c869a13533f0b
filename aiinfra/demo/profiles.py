"""The demo company's use cases. Each gives recommendations, charts or alerts something to show."""

from dataclasses import dataclass

from queue_app.models import Priority

WEBSITE, BACK_OFFICE, REPORTING, RESEARCH = "Demo website", "Demo back office", "Demo reporting", "Demo research"
KEY_NAMES = (WEBSITE, BACK_OFFICE, REPORTING, RESEARCH)
RESEARCH_TAG = "research"
USERS = tuple(
    f"demo.{name}" for name in ("anna", "ben", "chloe", "david", "emma", "felix", "greta", "henry", "ida", "jonas")
)
BOTS = ("demo.website", "demo.crawler")
HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW


@dataclass(frozen=True)
class Profile:
    """A use case. Tokens and latency are medians; of several models, it calls the first with a price."""

    key_name: str
    models: tuple[tuple[str, str], ...]
    request_class: str
    priorities: tuple[Priority, ...]
    tags: tuple[str, ...]
    users: tuple[str, ...]
    prompt_tokens: int
    output_tokens: int
    max_tokens: int
    latency_ms: int
    hit_share: float = 0.0
    """Share that the semantic cache answers at the end of the history; two thirds of it in the beginning."""
    prefix_tokens: int = 0
    """Length of the prefix that all its prompts share."""
    prefix_read_share: float = 0.0
    """Share of its calls that hit the provider's prompt cache with this prefix."""
    reasoning_share: float = 0.0
    """Reasoning share of the output tokens."""


SUPPORT = Profile(
    WEBSITE, (("openai", "gpt-4"),), "simple", (NORMAL, NORMAL, HIGH), ("support",), BOTS[:1],
    prompt_tokens=420, output_tokens=140, max_tokens=4_096, latency_ms=2_400, hit_share=0.34,
)  # fmt: skip
CHAT = Profile(
    WEBSITE, (("deepseek", "deepseek-chat"),), "simple", (NORMAL, HIGH), ("chat",), USERS,
    prompt_tokens=2_600, output_tokens=420, max_tokens=2_000, latency_ms=3_100, hit_share=0.21, prefix_tokens=1_500,
    prefix_read_share=0.55,
)  # fmt: skip
CONTRACTS = Profile(
    BACK_OFFICE, (("anthropic", "claude-haiku-4-5"),), "complex", (NORMAL, HIGH), ("contracts", "legal"), USERS[:5],
    prompt_tokens=7_200, output_tokens=650, max_tokens=1_500, latency_ms=5_200, hit_share=0.06, prefix_tokens=6_000,
    prefix_read_share=0.3,
)  # fmt: skip
MARKETING = Profile(
    BACK_OFFICE, (("openai", "gpt-4"),), "creative", (NORMAL, Priority.CRITICAL), ("marketing",), USERS[5:],
    prompt_tokens=350, output_tokens=900, max_tokens=2_000, latency_ms=14_000,
)  # fmt: skip
REPORTS = Profile(
    REPORTING, (("deepseek", "deepseek-v4-pro"), ("deepseek", "deepseek-chat")), "complex", (LOW,), ("reports",),
    BOTS[1:], prompt_tokens=6_500, output_tokens=2_100, max_tokens=8_000, latency_ms=26_000, prefix_tokens=3_000,
    prefix_read_share=0.4, reasoning_share=0.55,
)  # fmt: skip
EXPERIMENTS = Profile(
    RESEARCH, (("openai", "gpt-3.5-turbo"),), "simple", (LOW, NORMAL), (RESEARCH_TAG,), USERS[:2],
    prompt_tokens=900, output_tokens=300, max_tokens=4_096, latency_ms=1_700, hit_share=0.12,
)  # fmt: skip

PROFILES = (SUPPORT, CHAT, CONTRACTS, MARKETING, REPORTS, EXPERIMENTS)
SHARES = (30, 24, 20, 8, 13, 5)
"""Share of a working hour's requests."""
EARLY_SHARES = (18, 14, 14, 5, 46, 3)
"""From 7 to 10 in the morning, when the daily reports run: peak-price hours of some providers."""
WEEKEND_SHARES = (52, 32, 5, 2, 4, 5)
SPIKE_SHARES = (12, 8, 8, 64, 6, 2)
"""Someone generates the texts for a whole catalog."""

HOURS = (2, 1, 1, 1, 1, 3, 10, 28, 62, 92, 100, 96, 74, 82, 95, 92, 80, 60, 38, 26, 20, 15, 9, 5)
"""Relative traffic of each hour of the local clock."""
WEEKDAYS = (100, 106, 104, 98, 84, 26, 20)
"""Relative traffic of each day of the week, Monday first."""
