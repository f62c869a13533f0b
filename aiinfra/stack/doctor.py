"""Checks that an operator should run before trusting an installation."""

import os
import sqlite3
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

from aiinfra import full_disk
from aiinfra.configuration.setting import Values
from aiinfra.configuration.spelling import misspelled
from aiinfra.configuration.table.providers import compatible_keys
from aiinfra.monitoring import clocks
from aiinfra.monitoring.database_check import has_room
from aiinfra.monitoring.redis_check import redis_obstacle
from aiinfra.providers.registry import provider_names, sandbox_url
from aiinfra.redis import redis_client
from aiinfra.secret_rotation import count_by_key
from aiinfra.stack import private_files
from aiinfra.stack.findings import Finding, Level, judge
from aiinfra.tenants import administrators, demo, demo_rules, row_security
from aiinfra.tenants.models import User
from aiinfra.tenants.peppers import count_by_pepper
from cache_app.facade import EmbedderError, Payer, configured_embedder

SQLITE_WAL_FIXED = (3, 51, 3)
"""In older versions, two connections that write and checkpoint at the same moment can, very rarely, corrupt a database
in WAL mode (sqlite.org/wal.html, "WAL-reset bug")."""

EXPOSED_SHOWN = 10
SKEW_NOTED_S = 1.0
COLLECTOR_S = 3.0
CREDENTIALS = {"username", "password", "credential_provider"}
"""Connection options to omit for a connection without authentication."""

REDIS_OLDEST = (6, 2)
"""The first version with all the commands that the queue uses."""


def examine() -> list[Finding]:
    """Run all checks; each ends within a few seconds, whatever is broken."""
    checks = (
        _settings,
        _redis,
        _database,
        _clocks,
        _static_files,
        _links,
        _secrets,
        _stored_secrets,
        _people,
        _time_zones,
        _providers,
        _embedder,
        _traces,
    )
    return [finding for check in checks for finding in check()]


def _settings() -> Iterator[Finding]:
    """Variables that nothing reads. (Invalid values have already stopped the command.)"""
    from opentelemetry.sdk import environment_variables

    keys = compatible_keys(Values(os.environ)).values()
    known = {*(key.name for key in keys), *vars(environment_variables)}
    for name, meant in misspelled(os.environ, known).items():
        question = f": did you mean {meant}?" if meant else ""
        yield Finding(Level.NOTE, f"{name} is not a setting{question}")


def _redis() -> Iterator[Finding]:
    try:
        server, memory = redis_client().info("server"), redis_client().info("memory")
        persistence = redis_client().info("persistence")
    except RedisError as error:
        yield Finding(Level.FAILED, f"Redis is unreachable: {error}")
        return
    if obstacle := redis_obstacle():
        yield Finding(Level.FAILED, f"{obstacle}: nothing can be queued in it")
    version = server["redis_version"]
    numbers = tuple(int(part) for part in version.split(".")[:2])
    yield judge(
        _redis_authenticates(),
        "Redis requires a password or is on a private socket",
        "Redis must require a password (requirepass or an ACL user): anyone who can write to it can disrupt the queue",
    )
    yield judge(numbers >= REDIS_OLDEST, f"Redis {version}", f"Redis {version} is too old: 6.2 or later")
    yield from _redis_durability(persistence.get("aof_enabled"), memory.get("maxmemory_policy"))


def _redis_authenticates() -> bool:
    """Whether the server refuses callers without a password. A Unix socket relies on file permissions instead."""
    pool = redis_client().connection_pool
    if path := pool.connection_kwargs.get("path"):
        return _is_private_socket(Path(path))
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in CREDENTIALS}
    anonymous = Redis(connection_pool=ConnectionPool(connection_class=pool.connection_class, **options))
    try:
        anonymous.ping()
    except RedisError:
        return True
    finally:
        anonymous.connection_pool.disconnect()
    return False


def _is_private_socket(path: Path) -> bool:
    """Whether the socket, or the directory around it, is closed to other users."""
    return any(place.exists() and not place.stat().st_mode & private_files.OTHERS for place in (path, path.parent))


def _redis_durability(aof: int | None, policy: str | None) -> Iterator[Finding]:
    """A hosted Redis may not report its settings."""
    if aof is None or policy is None:
        yield Finding(
            Level.NOTE, "Redis does not report its settings: make sure that it persists data and evicts nothing"
        )
        return
    yield judge(
        bool(aof),
        "Redis keeps an append-only file",
        "Redis must have appendonly yes: without it a restart loses the cache, and the queue is slow to come back",
    )
    yield judge(
        policy == "noeviction", "Redis evicts nothing", f"Redis must have maxmemory-policy noeviction: {policy}"
    )


def _database() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Finding(Level.FAILED, f"The database is unreachable: {error}")
        return
    yield Finding(Level.OK, f"The database ({connection.vendor}) answers")
    yield judge(not plan, "All migrations are applied", f"{len(plan)} unapplied migrations: run manage.py release")
    yield judge(
        has_room(),
        "The database has disk space",
        f"{full_disk.FULL.capitalize()}: nothing can be accepted or stored until some is freed",
    )
    if connection.vendor == "sqlite":
        yield from _sqlite()
    else:
        yield from _row_security()


def _row_security() -> Iterator[Finding]:
    problem = row_security.problem()
    if problem or row_security.is_set():
        yield judge(not problem, "Row-level security is on", problem)


def _static_files() -> Iterator[Finding]:
    """A host that runs only workers needs none."""
    if not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        yield Finding(Level.NOTE, "No static files: run manage.py release if this host serves pages")


def _links() -> Iterator[Finding]:
    host = urlsplit(settings.AIINFRA_PUBLIC_URL).hostname or ""
    if settings.EMAIL_HOST and demo_rules.is_loopback(host):
        yield Finding(Level.NOTE, f"Links in emails lead to {host}, which only works here: set AIINFRA_PUBLIC_URL")


def _clocks() -> Iterator[Finding]:
    """Compares this host's clock with the others. Unreachable servers have already been reported."""
    readers = (("database", clocks.database_skew_s), ("Redis", clocks.redis_skew_s))
    for name, read in readers:
        try:
            skew = read()
        except (DatabaseError, RedisError):
            continue
        yield _clock(name, skew)


def _clock(name: str, skew_s: float) -> Finding:
    words = f"This host's clock and that of {name} differ by {abs(skew_s):.1f} s"
    if abs(skew_s) >= settings.QUEUE_LEASE_S / 3:
        return Finding(Level.FAILED, f"{words}: synchronize them with NTP")
    if abs(skew_s) >= SKEW_NOTED_S:
        return Finding(Level.NOTE, f"{words}: synchronize them with NTP")
    return Finding(Level.OK, f"The clocks of this host and {name} agree")


def _sqlite() -> Iterator[Finding]:
    if sqlite3.sqlite_version_info < SQLITE_WAL_FIXED:
        yield Finding(
            Level.NOTE,
            f"SQLite {sqlite3.sqlite_version} has a rare bug that can corrupt the database. Prefer PostgreSQL",
        )


def _secrets() -> Iterator[Finding]:
    for name in ("SECRET_KEY", "API_KEY_PEPPER"):
        path = Path(settings.DATA_DIR) / name.lower()
        if os.environ.get(name):
            yield judge(len(os.environ[name]) >= 32, f"{name} is set", f"{name} must have at least 32 characters")
        elif path.exists():
            yield Finding(Level.OK, f"{name} is in {path}")
    exposed = private_files.exposed()
    paths = " ".join(map(str, exposed[:EXPOSED_SHOWN])) + " ..." * (len(exposed) > EXPOSED_SHOWN)
    yield judge(
        not exposed,
        "No other user can read the data directory",
        f"Other users can read {len(exposed)} files or directories: chmod go= {paths}",
    )


def _stored_secrets() -> Iterator[Finding]:
    """Encrypted columns. An unreadable database has already been reported."""
    try:
        counts, keys = count_by_key(), count_by_pepper()
    except DatabaseError:
        return
    lost = [f"{each.undecryptable} in {each.column}" for each in counts if each.undecryptable]
    yield judge(
        not lost,
        "SECRET_KEY or one of its fallbacks decrypts every stored secret",
        f"No key decrypts {', '.join(lost)}: add the earlier key to SECRET_KEY_FALLBACKS, or enter the values again",
    )
    if older := sum(each.older for each in counts):
        yield Finding(Level.NOTE, f"{older} stored secrets need SECRET_KEY_FALLBACKS: run manage.py rotatesecrets")
    yield judge(
        not keys.lost,
        "API_KEY_PEPPER or one of its fallbacks verifies every API key",
        f"{keys.lost} API keys do not work: add the pepper that they were created with to API_KEY_PEPPER_FALLBACKS",
    )
    if keys.older:
        yield Finding(Level.NOTE, f"{keys.older} API keys need API_KEY_PEPPER_FALLBACKS until their next use")


def _people() -> Iterator[Finding]:
    try:
        demo_people, has_administrator = list(demo.active_people()), administrators.exists()
    except DatabaseError:
        return
    if not has_administrator:
        yield Finding(Level.NOTE, "There is no administrator: create one with manage.py createadmin EMAIL")
    if demo_people:
        yield _demo(demo_people)


def _demo(people: list[User]) -> Finding:
    """Demo accounts share a password that is stored in a file."""
    reasons = demo_rules.obstacles()
    reasons += [f"{user} is staff" for user in people if user.is_staff or user.is_superuser]
    return judge(
        not reasons,
        "Demo accounts exist, and only this machine can reach them",
        f"Demo accounts exist, but {', '.join(reasons)}: run manage.py seed_demo --remove",
    )


def _time_zones() -> Iterator[Finding]:
    known = len(zoneinfo.available_timezones())
    yield judge(known > 400, f"{known} time zones are available", "Time zone data is missing: install tzdata")


def _providers() -> Iterator[Finding]:
    names = provider_names()
    if sandbox_url():
        yield Finding(Level.NOTE, "No provider key is set. The sandbox answers instead of real providers")
    yield judge(bool(names), f"Providers: {', '.join(names)}", "No provider is configured")


def _embedder() -> Iterator[Finding]:
    """Paid embedders are not called."""
    if settings.CACHE_EMBEDDER == "openai":
        yield Finding(Level.NOTE, "Questions are embedded by OpenAI, on each organization's account")
        return
    try:
        configured_embedder().embed(["Does it work?"], Payer(organization_id=0))
    except (EmbedderError, ImproperlyConfigured) as error:
        yield Finding(Level.FAILED, f"The cache finds only exact matches because its embedder does not work: {error}")
    else:
        yield Finding(Level.OK, f"The embedder {configured_embedder().id} works")


def _traces() -> Iterator[Finding]:
    """Whether the collector accepts spans. The product works without it."""
    if settings.TRACING:
        from aiinfra.tracing.sdk import takes_spans

        takes = takes_spans(settings.TRACES_ENDPOINT, COLLECTOR_S)
        known = "The collector accepts traces" if takes else "The collector does not accept traces, so they are dropped"
        yield Finding(Level.OK if takes else Level.NOTE, f"{known}: {settings.TRACES_ENDPOINT}")
