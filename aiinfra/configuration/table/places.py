"""Ports, directories, the database and Redis."""

from pathlib import Path

from aiinfra.configuration import kinds, upstash
from aiinfra.configuration.addresses import DatabaseUrl, Host, RedisUrl
from aiinfra.configuration.running import port_of_running
from aiinfra.configuration.setting import Setting, Values

ROOT = Path(__file__).resolve().parents[3]


def _port(values: Values) -> int:
    return port_of_running(values[AIINFRA_DATA_DIR]) or 8000


def _sqlite(values: Values) -> str:
    return f"sqlite:///{values[AIINFRA_DATA_DIR] / 'aiinfra.sqlite3'}"


def uses_upstash(values: Values) -> bool:
    """Whether Redis is the database of Upstash's variables."""
    return not values.is_set(REDIS_URL) and bool(values[UPSTASH_REDIS_REST_URL] and values[UPSTASH_REDIS_REST_TOKEN])


def uses_bundled_redis(values: Values) -> bool:
    """Whether no Redis is configured, so that `run` starts one."""
    return not any(map(values.is_set, (REDIS_URL, UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN)))


def bundled_redis_url(values: Values, password: str) -> str:
    """Where the Redis that `run` starts listens."""
    return f"redis://:{password}@127.0.0.1:{values[PORT] + 1}/0"


def _redis(values: Values) -> str:
    if uses_upstash(values):
        return upstash.redis_url(values[UPSTASH_REDIS_REST_URL], values[UPSTASH_REDIS_REST_TOKEN])
    return ""


PORT = Setting(
    "PORT",
    kinds.PORT,
    _port,
    "Port of the web server. The Redis that `run` starts listens on `PORT` + 1, the sandbox on `PORT` + 2. While the "
    "product runs, other commands use its port by default.",
    "8000",
)
BIND = Setting(
    "BIND",
    Host(),
    "127.0.0.1",
    "Address the web server listens on: `0.0.0.0` for all IPv4 addresses, `[::]` for all.",
)
AIINFRA_DATA_DIR = Setting(
    "AIINFRA_DATA_DIR",
    kinds.Directory(),
    ROOT / "var",
    'Directory for all data: database, Redis, secrets, logs. The path must not contain `%`, `"`, ` #` or ` ;`.',
    "`var`",
)
DATABASE_URL = Setting(
    "DATABASE_URL",
    DatabaseUrl(),
    _sqlite,
    "`postgres://user:password@host:port/name?option=value` with all options of libpq, or `sqlite:///path` (four "
    "slashes for an absolute path).",
    "SQLite in the data directory",
)
DATABASE_POOL_SIZE = Setting(
    "DATABASE_POOL_SIZE", kinds.Whole(1, 1000), 8, "Maximum PostgreSQL connections that one process keeps open."
)
DATABASE_STATEMENT_TIMEOUT_S = Setting(
    "DATABASE_STATEMENT_TIMEOUT_S",
    kinds.Whole(0, 86_400),
    60,
    "Seconds after which PostgreSQL cancels a statement. 0 means never. `release` has no limit.",
)
DATABASE_TRANSACTION_POOLING = Setting(
    "DATABASE_TRANSACTION_POOLING",
    kinds.Switch(),
    False,
    "`DATABASE_URL` points to pgbouncer in transaction mode: aiinfra then uses no server-side cursors and no "
    "statement timeout. Run `release` with a direct URL.",
)
DATABASE_ROW_SECURITY = Setting(
    "DATABASE_ROW_SECURITY",
    kinds.Switch(),
    False,
    "Tell PostgreSQL the organization of each statement, for [row-level security](tenants.md#row-level-security).",
)
REDIS_URL = Setting(
    "REDIS_URL",
    RedisUrl(),
    _redis,
    "`redis://[:password@]host:port/number`, `rediss://` for TLS, `unix:///path` for a socket, "
    "`redis+sentinel://host:port,host:port/service/number` for [Sentinel](running.md#redis). aiinfra doesn't start "
    "or stop this Redis. Configure it with `appendonly yes` and `maxmemory-policy noeviction`.",
    "none: `run` starts one",
)
REDIS_MAX_CONNECTIONS = Setting(
    "REDIS_MAX_CONNECTIONS",
    kinds.Whole(5, 10_000),
    20,
    "Maximum connections in each of a process's two Redis pools. See [Redis connections](#redis-connections).",
)
UPSTASH_REDIS_REST_URL = Setting(
    "UPSTASH_REDIS_REST_URL",
    upstash.RestUrl(),
    "",
    "Use this Upstash database. Needs the token, too. aiinfra connects to the same host over TLS with the Redis "
    "protocol. `REDIS_URL` takes precedence.",
)
UPSTASH_REDIS_REST_TOKEN = Setting(
    "UPSTASH_REDIS_REST_TOKEN", kinds.ProviderKey(), "", "The token for `UPSTASH_REDIS_REST_URL`."
)
