"""Valid values of settings, and error messages for invalid ones."""

from pathlib import Path
from typing import Any

import pytest

from aiinfra.configuration.reading import WrongSettingsError, read
from aiinfra.configuration.setting import Setting
from aiinfra.configuration.table import SETTINGS, places, providers, queue, security, web
from aiinfra.configuration.table import messages as mail

HALVES = "\uff11\uff12"
"""12 in full-width digits, which `int` would accept."""

REFUSED = [
    *(
        (name, value)
        for name in ("PORT", "EMAIL_PORT", "SANDBOX_PORT")
        for value in ("0", "-1", "65536", "80.0", "abc")
    ),
    *(
        (name, value)
        for name in ("WORKER_PROCESSES", "WORKER_THREADS", "WEB_PROCESSES", "WEB_THREADS", "BREAKER_FAILURES")
        for value in ("0", "-1", "1000000", "1e1", "1_0", HALVES, "ten", "+", "5 5", "9" * 5000)
    ),
    *(
        (name, value)
        for name in ("QUEUE_LEASE_S", "RETRY_BASE_S", "RETRY_MAX_S", "BREAKER_OPEN_S")
        for value in ("0", "-3", "nan", "inf", "-inf", "1e3", "1e400", "100000", HALVES, ".", "1,5")
    ),
    *(
        (name, value)
        for name in ("QUEUE_RETENTION_DAYS", "QUEUE_CONTENT_RETENTION_DAYS")
        for value in ("0", "-1", "1.5", "36500", "never")
    ),
    ("QUEUE_HEAD_START_HIGH_S", "-1"),
    ("QUEUE_IN_FLIGHT_PENALTY_S", "-0.1"),
    ("WAITING_CLIENTS_MAX", "-1"),
    ("DATABASE_POOL_SIZE", "0"),
    ("REDIS_MAX_CONNECTIONS", "0"),
    ("CACHE_INDEX_MB", "0"),
    ("SANDBOX_LATENCY_MS", "-1"),
    ("LOG_LEVEL", "foo"),
    ("LOG_LEVEL", "10"),
    ("CACHE_EMBEDDER", "word2vec"),
    ("CACHE_INDEX", "faiss"),
    ("AIINFRA_HTTPS", "maybe"),
    ("DEBUG", "2"),
    ("DATABASE_URL", "nonsense"),
    ("DATABASE_URL", "mysql://u@h/db"),
    ("DATABASE_URL", "postgres://u@h:port/db"),
    ("DATABASE_URL", "postgres://u@h"),
    ("DATABASE_URL", "postgres://u@h/db?sslmod=require"),
    ("DATABASE_URL", "postgres://u@h/db?sslmode=bogus"),
    ("DATABASE_URL", "postgres://u@h/db?target_session_attrs=bogus"),
    ("DATABASE_URL", "postgres://u@h1,h2/db?port=1,2,3"),
    ("DATABASE_URL", "postgres://u@h/db?client_encoding=latin1"),
    ("DATABASE_URL", "postgres://u@h/db?connect_timeout=soon"),
    ("DATABASE_URL", "postgres://u@h1:1,h2:99999/db"),
    ("DATABASE_URL", "postgres://u:%zz@h/db"),
    ("DATABASE_URL", "sqlite:///db?mode=ro"),
    ("METRICS_TOKEN", "short"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite://:memory:"),
    ("DATABASE_URL", "sqlite://var/db.sqlite3"),
    ("REDIS_URL", "http://x"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "redis+sentinel://h:26379"),
    ("REDIS_URL", "redis+sentinel://h:99999/mymaster"),
    ("REDIS_URL", "redis+sentinel://h,/mymaster"),
    ("REDIS_URL", "redis+sentinel://h/mymaster/first"),
    ("REDIS_URL", "redis+sentinel://h/mymaster?no_such_option=1"),
    ("REDIS_URL", "redis+sentinel://h/mymaster?sentinel_no_such_option=1"),
    ("REDIS_URL", "redis+cluster://h:6379"),
    ("REDIS_URL", "redis://"),
    ("REDIS_URL", "redis://h:99999/0"),
    ("REDIS_URL", "redis://h/first"),
    ("REDIS_URL", "redis://h/0?no_such_option=1"),
    ("REDIS_URL", "redis://h/0?decode_responses=false"),
    ("REDIS_URL", "redis+sentinel://h/mymaster?encoding="),
    ("REDIS_URL", "unix://"),
    ("REDIS_URL", "unix://tmp/redis.sock"),
    ("AIINFRA_PUBLIC_URL", "ai.example.com"),
    ("AIINFRA_PUBLIC_URL", "ftp://ai.example.com"),
    ("OPENAI_BASE_URL", "api.openai.com/v1"),
    ("OPENAI_BASE_URL", "https://user:pw@host/v1"),
    ("ANTHROPIC_BASE_URL", "https://host/?a=1"),
    ("SANDBOX_URL", "http://"),
    ("ALLOWED_HOSTS", "https://ai.example.com"),
    ("ALLOWED_HOSTS", "ai.example.com:8000"),
    ("ALLOWED_HOSTS", "good.example.com,bad_/host"),
    ("NOTIFICATION_TRUSTED_HOSTS", "*"),
    ("BIND", "127.0.0.1:80"),
    ("BIND", "999.0.0.1"),
    ("BIND", "::1"),
    ("EMAIL_HOST", "smtp://mail"),
    ("DEFAULT_FROM_EMAIL", "aiinfra"),
    ("DEFAULT_FROM_EMAIL", "a@b c"),
    ("AIINFRA_DATA_DIR", "/dev/null"),
    ("OPENAI_API_KEY", "sk two"),
    ("OPENAI_API_KEY", "sk-\u00e9"),
    *(
        ("AIINFRA_COMPATIBLE_PROVIDERS", value)
        for value in ("openai=http://h/v1", "Upper=http://h", "a/b=http://h", "=http://h", f"{'x' * 33}=http://h")
    ),
    *(
        ("AIINFRA_COMPATIBLE_PROVIDERS", f"mine={url}")
        for url in ("", "ftp://host/", "//host", "http://", "http://user:pw@host/v1", "http://a,mine=http://b")
    ),
    ("UPSTASH_REDIS_REST_URL", "redis://h:6379"),
    ("UPSTASH_REDIS_REST_URL", "http://h.upstash.io"),
    ("UPSTASH_REDIS_REST_TOKEN", "two words"),
]

ACCEPTED = [
    (places.PORT, " 8100 ", 8100),
    (places.PORT, "", 8000),
    (places.PORT, "  ", 8000),
    (queue.QUEUE_LEASE_S, "2.5", 2.5),
    (queue.QUEUE_HEAD_START_LOW_S, "0", 0),
    (web.LOG_LEVEL, "debug", "DEBUG"),
    (mail.EMAIL_USE_TLS, "OFF", False),
    (mail.EMAIL_USE_TLS, "", True),
    (places.REDIS_URL, "rediss://default:p%40ss@h:6380/2?ssl_cert_reqs=none", None),
    (places.REDIS_URL, "unix:///run/redis.sock?db=1", None),
    (places.REDIS_URL, "redis://:pw@[::1]:6379", None),
    (
        places.REDIS_URL,
        "redis+sentinel://u:p%40ss@a:26379,[::1],c.example.com/main/2?health_check_interval=5",
        None,
    ),
    (places.REDIS_URL, "rediss+sentinel://a/mymaster?ssl_ca_certs=/ca.pem&sentinel_password=pw", None),
    (places.DATABASE_URL, "postgresql://u:p%40@h:5432/db?sslmode=require", None),
    (places.DATABASE_URL, "postgres://u@h1:5432,h2:5433/db?target_session_attrs=any", None),
    (places.DATABASE_URL, "postgres:///db?host=/var/run/postgresql", None),
    (places.DATABASE_URL, "sqlite:////srv/db.sqlite3", None),
    (places.BIND, "[::]", None),
    (security.SECRET_KEY_FALLBACKS, "older, oldest", ["older", "oldest"]),
    (mail.DEFAULT_FROM_EMAIL, "Ada <ada@example.com>", None),
    (mail.NOTIFICATION_TRUSTED_HOSTS, "A.example, b.example,", ["a.example", "b.example"]),
    (
        providers.AIINFRA_COMPATIBLE_PROVIDERS,
        "a=http://h:1/v1 , b-2=https://[::1]/",
        {"a": "http://h:1/v1", "b-2": "https://[::1]/"},
    ),
]


def wrong(**environment: str) -> list[str]:
    """The error lines for an environment."""
    with pytest.raises(WrongSettingsError) as refused:
        read(environment)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=lambda text: text[:40])
def test_an_invalid_value_is_refused_in_one_line_with_its_variable(name: str, value: str) -> None:
    (line,) = wrong(**{name: value})
    assert line.startswith(f"{name} must ")


@pytest.mark.parametrize(("setting", "text", "expected"), ACCEPTED)
def test_a_valid_value_is_read(setting: Setting[Any], text: str, expected: object) -> None:
    value = read({setting.name: text})[setting]
    assert value == (text if expected is None else expected)


def test_every_setting_has_a_default() -> None:
    values = read({})
    assert all(values[setting] is not None for setting in SETTINGS.values())


def test_keys_of_compatible_providers_are_validated() -> None:
    server = {"AIINFRA_COMPATIBLE_PROVIDERS": "my-vllm=http://h/v1"}
    assert wrong(**server, MY_VLLM_API_KEY="two words") == [
        "MY_VLLM_API_KEY must be visible ASCII characters without spaces"
    ]
    values = read({**server, "MY_VLLM_API_KEY": "k"})
    assert {name: values[key] for name, key in providers.compatible_keys(values).items()} == {"my-vllm": "k"}


def test_errors_show_the_range_and_the_value() -> None:
    assert wrong(PORT="99999") == ["PORT must be between 1 and 65535, not 99999"]
    assert wrong(PORT="a b") == ["PORT must be a whole number between 1 and 65535, not 'a b'"]
    assert wrong(QUEUE_LEASE_S="nan") == ["QUEUE_LEASE_S must be a number between 1 and 3600, not nan"]
    assert wrong(CACHE_INDEX="x") == ["CACHE_INDEX must be matrix or vector_set, not x"]
    assert "Redis Cluster is not supported" in wrong(REDIS_URL="redis+cluster://h")[0]


def test_all_errors_are_reported_at_once() -> None:
    lines = wrong(PORT="0", LOG_LEVEL="foo", WEB_THREADS="-1")
    assert {line.split()[0] for line in lines} == {"PORT", "LOG_LEVEL", "WEB_THREADS"}


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "mysql://u:hunter2@h/db"},
        {"DATABASE_URL": "u:hunter2@h"},
        {"REDIS_URL": "u:hunter2@h:6379/0"},
        {"REDIS_URL": "http://u:hun/ter2hunter2@h"},
        {"REDIS_URL": "redis://h/x?password=hunter2"},
        {"OPENAI_BASE_URL": "https://u:hunter2@h/v1"},
        {"OPENAI_API_KEY": "hunter2 hunter2"},
        {"EMAIL_HOST_PASSWORD": "hunter2\x07"},
        {"UPSTASH_REDIS_REST_TOKEN": "hunter2 x"},
    ],
    ids=str,
)
def test_no_error_shows_a_secret(environment: dict[str, str]) -> None:
    assert "hunter2" not in "\n".join(wrong(**environment))


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"QUEUE_RETENTION_DAYS": "5", "QUEUE_CONTENT_RETENTION_DAYS": "6"}, "QUEUE_CONTENT_RETENTION_DAYS"),
        ({"RETRY_BASE_S": "31"}, "RETRY_BASE_S"),
        ({"RETRY_MAX_S": "0.5"}, "RETRY_MAX_S"),
        ({"QUEUE_HEAD_START_NORMAL_S": "121"}, "QUEUE_HEAD_START_NORMAL_S"),
        ({"QUEUE_HEAD_START_CRITICAL_S": "1"}, "QUEUE_HEAD_START_CRITICAL_S"),
        ({"PORT": "65535"}, "PORT"),
        ({"PORT": "65534"}, "PORT"),
        ({"PORT": "65535", "OPENAI_API_KEY": "sk-1"}, "PORT"),
        ({"PORT": "65534", "REDIS_URL": "redis://h"}, "PORT"),
        ({"PORT": "8000", "SANDBOX_PORT": "8001"}, "SANDBOX_PORT"),
        ({"UPSTASH_REDIS_REST_URL": "https://a.upstash.io"}, "UPSTASH_REDIS_REST_TOKEN"),
        ({"UPSTASH_REDIS_REST_TOKEN": "t"}, "UPSTASH_REDIS_REST_URL"),
    ],
    ids=str,
)
def test_inconsistent_settings_are_refused(environment: dict[str, str], name: str) -> None:
    (line,) = wrong(**environment)
    assert line.startswith(f"{name} must ")


@pytest.mark.parametrize(
    "environment",
    [
        {"PORT": "65535", "OPENAI_API_KEY": "sk-1", "REDIS_URL": "redis://h"},
        {"PORT": "65533"},
        {"PORT": "65534", "SANDBOX_PORT": "9000"},
        {"QUEUE_RETENTION_DAYS": "3"},
        {"WORKER_PROCESSES": "200"},
        {"UPSTASH_REDIS_REST_TOKEN": "t", "REDIS_URL": "redis://h"},
    ],
    ids=str,
)
def test_defaults_adapt_to_the_values_of_other_settings(environment: dict[str, str]) -> None:
    values = read(environment)
    assert values[queue.QUEUE_CONTENT_RETENTION_DAYS] <= values[queue.QUEUE_RETENTION_DAYS]
    assert values[queue.WORKER_THREADS] >= 1


def test_upstash_variables_are_converted_to_a_tls_redis_url() -> None:
    values = read({"UPSTASH_REDIS_REST_URL": "https://eu1-cat-1.upstash.io/", "UPSTASH_REDIS_REST_TOKEN": "AX/b="})
    assert values[places.REDIS_URL] == "rediss://default:AX%2Fb%3D@eu1-cat-1.upstash.io:6379"
    assert places.uses_upstash(values)
    assert not places.uses_bundled_redis(values)


def test_redis_url_takes_precedence_over_upstash() -> None:
    both = {"UPSTASH_REDIS_REST_URL": "https://a.upstash.io", "UPSTASH_REDIS_REST_TOKEN": "t"}
    assert read({**both, "REDIS_URL": "redis://own:6379/1"})[places.REDIS_URL] == "redis://own:6379/1"


def test_redis_is_bundled_if_no_url_is_set() -> None:
    values = read({"PORT": "9000", "REDIS_URL": " "})
    assert places.uses_bundled_redis(values)
    assert places.bundled_redis_url(values, "secret") == "redis://:secret@127.0.0.1:9001/0"


def test_the_data_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read({"AIINFRA_DATA_DIR": "data"})[places.AIINFRA_DATA_DIR] == tmp_path / "data"
