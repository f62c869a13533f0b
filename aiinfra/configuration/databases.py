"""The database of `DATABASE_URL`, as Django's settings."""

import re
from typing import Any
from urllib.parse import unquote, urlsplit

POSTGRES = ("postgres", "postgresql", "pgsql")
DJANGO_SETS = ("client_encoding",)
"""Options that Django overwrites."""
DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Defaults that keep a lost host from blocking threads for the quarter of an hour that TCP would wait."""
ISOLATION = r"-c default_transaction_isolation=read\ committed"
"""The isolation level that all statements are written for, whatever the default of the role or the database. At
others, concurrent transactions would fail and have to be retried.
"""
NUMBERS = {*DEFAULTS, "keepalives"}
PORT_MAX = 65_535
RECONNECT_S = 4.0
"""After this, the pool gives up and the next request starts over. Otherwise, its delays would keep doubling."""
POOL_WAIT_S = 5.0


def sqlite_settings(url: str) -> dict[str, Any]:
    """`sqlite:///path`, for our backend."""
    return {
        "ENGINE": "aiinfra.sqlite",
        "NAME": unquote(urlsplit(url).path[1:]),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # Every thread has a connection, so its cache is small; the operating system caches the file as well.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-256;",
        },
    }


def postgres_settings(
    url: str, *, pool_size: int, statement_timeout_s: int, by_transaction: bool, row_security: bool
) -> dict[str, Any]:
    """`postgres://...` with every option of libpq.

    `by_transaction`: a proxy like pgbouncer pools by transaction. It accepts no startup options, and server-side
    cursors don't outlive their transaction. `row_security`: each statement sets its scope, which server-side
    cursors can't.
    """
    options = postgres_options(url)
    options = {**DEFAULTS, **options}
    if "," in options.get("host", ""):
        options.setdefault("target_session_attrs", "read-write")
    if not by_transaction:
        limit = f"-c statement_timeout={statement_timeout_s * 1000} " if statement_timeout_s else ""
        options["options"] = f"{ISOLATION} {limit}{options.get('options', '')}".strip()
    pool = {"min_size": 1, "max_size": pool_size, "timeout": POOL_WAIT_S, "reconnect_timeout": RECONNECT_S}
    return {
        "ENGINE": "aiinfra.postgres",
        "NAME": options.pop("dbname"),
        "USER": options.pop("user", ""),
        "PASSWORD": options.pop("password", ""),
        "HOST": options.pop("host", ""),
        "PORT": options.pop("port", ""),
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": by_transaction or row_security,
        "ROW_SECURITY": row_security,
        "OPTIONS": {**options, "pool": pool},
    }


def postgres_options(url: str) -> dict[str, str]:
    """The options of a URL. Raises ValueError for options or values that libpq rejects."""
    from psycopg import ProgrammingError  # not needed on SQLite
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = conninfo_to_dict(re.sub(r"^\w+://", "postgresql://", url, count=1))
    except ProgrammingError as error:
        raise ValueError(f"must be a URL that PostgreSQL accepts ({str(error).strip()})") from None
    options = {name: str(value) for name, value in found.items()}
    if overwritten := [name for name in DJANGO_SETS if name in options]:
        raise ValueError(f"must not set {overwritten[0]}")
    if "default_transaction_isolation" in options.get("options", ""):
        raise ValueError("must not set default_transaction_isolation")
    if not options.get("dbname"):
        raise ValueError("must name a database after the host: postgres://user@host:port/name")
    _check_values(options)
    return options


def _check_values(options: dict[str, str]) -> None:
    """libpq validates most values when it starts to connect, so this connects to a socket that doesn't exist."""
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    for name in NUMBERS & options.keys():
        if not re.fullmatch(r"-?[0-9]{1,9}", options[name]):
            raise ValueError(f"must have a whole number as {name}")
    if any(port and not 0 < int(port) <= PORT_MAX for port in options.get("port", "").split(",") if port.isdecimal()):
        raise ValueError(f"must have ports between 1 and {PORT_MAX}")
    hosts = options.get("host", "").split(",")
    nowhere = {**options, "host": ",".join("/nonexistent" for _ in hosts)}
    nowhere.pop("hostaddr", None)
    connection = pq.PGconn.connect_start(make_conninfo(**nowhere).encode())
    message = connection.error_message.decode(errors="replace").strip()
    connection.finish()
    if message and "connection to server on socket" not in message:
        raise ValueError(f"must have options that PostgreSQL accepts ({message.splitlines()[0]})")
