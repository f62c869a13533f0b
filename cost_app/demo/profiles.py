"""What the demo company uses models for. Each use has something that advice, charts or alerts can find."""

from dataclasses import dataclass

CRITICAL, HIGH, NORMAL, LOW = 1000, 500, 100, 10
"""Weights of the priorities, as the queue has them."""

WEBSITE, BACK_OFFICE, REPORTING, RESEARCH = "Demo website", "Demo back office", "Demo reporting", "Demo research"
KEY_NAMES = (WEBSITE, BACK_OFFICE, REPORTING, RESEARCH)
RESEARCH_TAG = "research"

USERS = [
    f"demo.{name}" for name in ("anna", "ben", "chloe", "david", "emma", "felix", "greta", "henry", "ida", "jonas")
]
SYSTEMS = ["demo.website", "demo.crawler"]


@dataclass(frozen=True)
class Profile:
    """One use. Tokens are medians of log-normal distributions; `models` are tried in order until one has a price."""

    key_name: str
    models: tuple[tuple[str, str], ...]
    request_class: str
    priorities: tuple[int, ...]
    tags: tuple[str, ...]
    users: tuple[str, ...]
    prompt_tokens: int
    output_tokens: int
    max_tokens: int
    prefix_bytes: int = 0
    repeats: bool = False
    """Asks what was asked before, so that a cache could answer."""
    in_bursts: bool = False
    """Several within a few minutes, with the same long beginning."""
    latency_ms: int = 1_500


SUPPORT = Profile(
    WEBSITE, (("openai", "gpt-4"),), "simple", (NORMAL, NORMAL, HIGH), ("support",), tuple(SYSTEMS[:1]),
    prompt_tokens=420, output_tokens=140, max_tokens=4_096, repeats=True, latency_ms=1_900,
)  # fmt: skip
CONTRACTS = Profile(
    BACK_OFFICE, (("anthropic", "claude-haiku-4-5"),), "complex", (NORMAL, HIGH), ("contracts", "legal"),
    tuple(USERS[:5]), prompt_tokens=7_200, output_tokens=650, max_tokens=1_500, prefix_bytes=24_000, in_bursts=True,
    latency_ms=3_200,
)  # fmt: skip
MARKETING = Profile(
    BACK_OFFICE, (("openai", "gpt-4"),), "creative", (NORMAL, CRITICAL), ("marketing",), tuple(USERS[5:]),
    prompt_tokens=350, output_tokens=900, max_tokens=2_000, latency_ms=6_500,
)  # fmt: skip
REPORTS = Profile(
    REPORTING, (("deepseek", "deepseek-v4-pro"), ("deepseek", "deepseek-chat")), "complex", (LOW,), ("reports",),
    tuple(SYSTEMS[1:]), prompt_tokens=6_500, output_tokens=1_100, max_tokens=2_500, latency_ms=8_000,
)  # fmt: skip
EXPERIMENTS = Profile(
    RESEARCH, (("deepseek", "deepseek-chat"),), "simple", (LOW, NORMAL), (RESEARCH_TAG,), tuple(USERS[:2]),
    prompt_tokens=900, output_tokens=300, max_tokens=4_096, latency_ms=1_200,
)  # fmt: skip

PROFILES = (SUPPORT, CONTRACTS, MARKETING, REPORTS, EXPERIMENTS)
SHARES = (42, 24, 12, 17, 5)
"""Of a working hour's calls."""
EARLY_SHARES = (25, 18, 7, 47, 3)
"""From 7 to 10 in the morning, when the reports of the day are made: the dear hours of some providers."""
WEEKEND_SHARES = (80, 6, 4, 4, 6)
SPIKE_SHARES = (18, 10, 64, 6, 2)
"""Somebody has the texts of a whole catalogue written."""

HOURS = (2, 1, 1, 1, 1, 3, 10, 28, 62, 92, 100, 96, 74, 82, 95, 92, 80, 60, 38, 26, 20, 15, 9, 5)
"""Relative traffic of each hour of the local clock."""
WEEKDAYS = (100, 106, 104, 98, 84, 26, 20)
"""Of each day of the week, Monday first."""
