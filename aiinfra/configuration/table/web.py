"""The web server and the logs."""

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

WEB_PROCESSES = Setting("WEB_PROCESSES", kinds.Whole(1, 256), 2, "Web server processes.")
WEB_THREADS = Setting("WEB_THREADS", kinds.Whole(1, 1000), 24, "Concurrent requests per process.")
WAITING_CLIENTS_MAX = Setting(
    "WAITING_CLIENTS_MAX",
    kinds.Whole(0, 1000),
    lambda values: values[WEB_THREADS] // 2,
    "Maximum threads of a process for clients that wait for an answer, so that pages stay fast. Must be less than "
    "`WEB_THREADS`.",
    "half of `WEB_THREADS`",
)
EVENT_CLIENTS_MAX = Setting(
    "EVENT_CLIENTS_MAX",
    kinds.Whole(0, 1000),
    lambda values: max(0, min(values[WEB_THREADS] // 3, values[WEB_THREADS] - values[WAITING_CLIENTS_MAX] - 1)),
    "Maximum live event streams in each process. Each open stream uses a thread; pages beyond the limit poll "
    "instead. Together with `WAITING_CLIENTS_MAX`, must be less than `WEB_THREADS`.",
    "a third of `WEB_THREADS`, or less if `WAITING_CLIENTS_MAX` leaves fewer",
)
LOG_LEVEL = Setting(
    "LOG_LEVEL",
    kinds.Choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "INFO",
    "Logs are JSON lines and never contain prompts, answers, or keys.",
)
