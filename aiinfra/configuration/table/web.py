"""The web server and the logs."""

from aiinfra.configuration import kinds
from aiinfra.configuration.setting import Setting

WEB_PROCESSES = Setting("WEB_PROCESSES", kinds.Whole(1, 256), 2, "Web server processes.")
WEB_THREADS = Setting("WEB_THREADS", kinds.Whole(1, 1000), 24, "Concurrent requests per process.")
WEB_LAME_DUCK_S = Setting(
    "WEB_LAME_DUCK_S",
    kinds.Whole(0, 300),
    5,
    "Seconds that a web server keeps serving after SIGTERM, while `/readyz` returns 503, so that load balancers stop "
    "sending requests. Set it above the interval of their probes. `run` always uses 0.",
)
WEB_DRAIN_S = Setting(
    "WEB_DRAIN_S",
    kinds.Whole(0, 3_600),
    130,
    "Seconds that a web server then has to finish requests in progress, including streams, without accepting new "
    "ones. It stops as soon as they end. A provider call takes up to 120. The process that stops the web server must "
    "wait at least 10 seconds longer than both together.",
)
WAITING_CLIENTS_MAX = Setting(
    "WAITING_CLIENTS_MAX",
    kinds.Whole(0, 1000),
    150,
    "Maximum clients of a process that wait for an answer. Each has its own thread, in addition to `WEB_THREADS`.",
)
CALL_MIB_MAX = Setting(
    "CALL_MIB_MAX",
    kinds.Whole(1, 48),
    16,
    "Largest body of a call under `/v1` in MiB. The bodies that a web process reads at a time share 64 MiB.",
)
STREAM_DRAIN_S = Setting(
    "STREAM_DRAIN_S",
    kinds.Decimal(0, 3_600),
    60.0,
    "Seconds that a streamed call continues after its client disconnects, to bill actual usage and cache the answer.",
)
EVENT_CLIENTS_MAX = Setting(
    "EVENT_CLIENTS_MAX",
    kinds.Whole(0, 1000),
    100,
    "Maximum live event streams in each process. Each has its own thread, in addition to `WEB_THREADS`. Above the "
    "limit, pages poll instead.",
)
CONNECTIONS_PER_ADDRESS_MAX = Setting(
    "CONNECTIONS_PER_ADDRESS_MAX",
    kinds.Whole(1, 2000),
    256,
    "Maximum open connections from one address in each process. Doesn't apply to this machine and trusted proxies.",
)
LOG_LEVEL = Setting(
    "LOG_LEVEL",
    kinds.Choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "INFO",
    "Logs are JSON lines and never contain prompts, answers, or keys.",
)
