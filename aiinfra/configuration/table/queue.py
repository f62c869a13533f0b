"""Workers, leases, priorities, retention."""

import os

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting, Values

CALLS_AT_ONCE = 50
"""The specification's figure for one installation."""


def _head_start(priority: str, seconds: float) -> Setting[float]:
    words = f"Head start of `{priority}` requests in seconds. At least that of the next lower priority."
    words = words if priority != "low" else "Head start of `low` requests in seconds."
    return Setting(f"QUEUE_HEAD_START_{priority.upper()}_S", kinds.Decimal(0, 86_400), seconds, words)


WORKER_PROCESSES = Setting(
    "WORKER_PROCESSES",
    kinds.Whole(1, 256),
    min(5, os.cpu_count() or 1),
    "Worker processes on this host. More than one per core only uses memory: a process runs one thread at a time.",
    "one per core, at most 5",
)
WORKER_THREADS = Setting(
    "WORKER_THREADS",
    kinds.Whole(1, 1000),
    lambda values: max(CALLS_AT_ONCE // values[WORKER_PROCESSES], 1),
    "Concurrent calls per process.",
    "50 / `WORKER_PROCESSES`",
)
WORKER_NICE = Setting(
    "WORKER_NICE",
    kinds.Whole(0, 19),
    5,
    "How much workers yield to the web server when the CPU is busy, as for the command `nice`. 0 means not at all.",
)
QUEUE_LEASE_S = Setting(
    "QUEUE_LEASE_S",
    kinds.Decimal(1, 3_600),
    15.0,
    "Seconds after which a request goes to another worker if its own stops responding.",
)
QUEUE_HEAD_START_LOW_S = _head_start("low", 0.0)
QUEUE_HEAD_START_NORMAL_S = _head_start("normal", 30.0)
QUEUE_HEAD_START_HIGH_S = _head_start("high", 120.0)
QUEUE_HEAD_START_CRITICAL_S = _head_start("critical", 300.0)
QUEUE_IN_FLIGHT_PENALTY_S = Setting(
    "QUEUE_IN_FLIGHT_PENALTY_S",
    kinds.Decimal(0, 86_400),
    10.0,
    "Seconds that an organization falls behind for each of its requests in progress.",
)
QUEUE_RETENTION_DAYS = Setting(
    "QUEUE_RETENTION_DAYS",
    kinds.Whole(1, 3_650),
    30,
    "Days after which a finished request is deleted. Its costs stay in the ledger.",
)


def _content_days(values: Values) -> int:
    return min(7, values[QUEUE_RETENTION_DAYS])


QUEUE_CONTENT_RETENTION_DAYS = Setting(
    "QUEUE_CONTENT_RETENTION_DAYS",
    kinds.Whole(1, 3_650),
    _content_days,
    "Days after which the prompt and answer of an ended request are deleted. At most `QUEUE_RETENTION_DAYS`.",
    "7, or `QUEUE_RETENTION_DAYS` if that is less",
)
