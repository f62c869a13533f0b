"""How much one client may send."""

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

PER_MINUTE = kinds.Whole(1, 100_000_000)
CONCURRENT = kinds.Whole(1, 100_000)

REQUESTS_PER_MINUTE_KEY = Setting(
    "REQUESTS_PER_MINUTE_KEY", PER_MINUTE, 60_000, "API requests of one key, unless the key has its own limit."
)
REQUESTS_PER_MINUTE_ORGANIZATION = Setting(
    "REQUESTS_PER_MINUTE_ORGANIZATION", PER_MINUTE, 120_000, "API requests of one organization."
)
REQUESTS_PER_MINUTE_ADDRESS = Setting(
    "REQUESTS_PER_MINUTE_ADDRESS", PER_MINUTE, 120_000, "API requests from one client address."
)
UNAUTHENTICATED_PER_MINUTE = Setting(
    "UNAUTHENTICATED_PER_MINUTE",
    PER_MINUTE,
    60,
    "API requests without a valid key or session, and wrong invitation links, from one client address.",
)
PAGES_PER_MINUTE_PERSON = Setting(
    "PAGES_PER_MINUTE_PERSON", PER_MINUTE, 3_000, "Pages and figures of one signed-in person, in each web process."
)
PAGES_PER_MINUTE_ADDRESS = Setting(
    "PAGES_PER_MINUTE_ADDRESS",
    PER_MINUTE,
    1_200,
    "Pages without a session from one client address, in each web process.",
)
CONCURRENT_REQUESTS_KEY = Setting(
    "CONCURRENT_REQUESTS_KEY", CONCURRENT, 200, "API requests of one key at a time, in each web process."
)
CONCURRENT_REQUESTS_ORGANIZATION = Setting(
    "CONCURRENT_REQUESTS_ORGANIZATION",
    CONCURRENT,
    300,
    "API requests of one organization at a time, in each web process.",
)
CONCURRENT_REQUESTS_ADDRESS = Setting(
    "CONCURRENT_REQUESTS_ADDRESS",
    CONCURRENT,
    300,
    "API requests from one client address at a time, in each web process.",
)
