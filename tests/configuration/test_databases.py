"""Conversion of `DATABASE_URL` to Django's settings."""

import pytest

from aiinfra.configuration.databases import DEFAULTS, postgres_settings, sqlite_settings

LIBPQ = {
    "sslmode": "verify-full",
    "sslrootcert": "/etc/ca.pem",
    "sslcert": "/etc/me.pem",
    "sslkey": "/etc/me.key",
    "sslcrl": "/etc/crl.pem",
    "sslnegotiation": "postgres",
    "ssl_min_protocol_version": "TLSv1.3",
    "channel_binding": "require",
    "gssencmode": "disable",
    "krbsrvname": "pg",
    "passfile": "/etc/pgpass",
    "target_session_attrs": "primary",
    "load_balance_hosts": "random",
    "hostaddr": "10.0.0.1,10.0.0.2",
    "connect_timeout": "2",
    "tcp_user_timeout": "1000",
    "keepalives": "1",
    "keepalives_idle": "7",
    "keepalives_interval": "8",
    "keepalives_count": "9",
    "application_name": "us",
    "fallback_application_name": "them",
    "requirepeer": "postgres",
}


def settings_of(query: str = "", hosts: str = "h1:5432,h2:5433", **changes: object) -> dict[str, object]:
    arguments = {"pool_size": 8, "statement_timeout_s": 60, "by_transaction": False, "row_security": False, **changes}
    return postgres_settings(f"postgres://u:p%40ss@{hosts}/db?{query}", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), LIBPQ.items())
def test_every_option_is_kept(name: str, value: str) -> None:
    options = settings_of(f"{name}={value.replace('/', '%2F')}")["OPTIONS"]
    assert isinstance(options, dict)
    assert options[name] == value


def test_hosts_ports_and_credentials_are_kept() -> None:
    found = settings_of()
    names = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
    assert [found[name] for name in names] == ["db", "u", "p@ss", "h1,h2", "5432,5433"]


def test_the_writable_host_of_several_is_used() -> None:
    assert settings_of()["OPTIONS"]["target_session_attrs"] == "read-write"  # type: ignore[index]
    assert "target_session_attrs" not in settings_of(hosts="h1")["OPTIONS"]  # type: ignore[operator]


def test_connections_have_timeouts() -> None:
    options = settings_of("options=-c%20work_mem%3D8MB")["OPTIONS"]
    assert isinstance(options, dict)
    assert DEFAULTS.items() <= options.items()
    assert options["options"].endswith(" -c statement_timeout=60000 -c work_mem=8MB")
    assert options["pool"]["timeout"] <= 5
    assert options["pool"]["reconnect_timeout"] <= 5


@pytest.mark.parametrize("limit_s", [0, 60])
def test_the_isolation_level_does_not_depend_on_the_server_s_default(limit_s: int) -> None:
    options = settings_of(statement_timeout_s=limit_s)["OPTIONS"]["options"]  # type: ignore[index]
    assert options.startswith(r"-c default_transaction_isolation=read\ committed")
    with pytest.raises(ValueError, match="must not set default_transaction_isolation"):
        settings_of("options=-c%20default_transaction_isolation%3Dserializable")


def test_transaction_pooling_uses_no_startup_options_or_server_side_cursors() -> None:
    found = settings_of(by_transaction=True)
    assert found["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert "options" not in found["OPTIONS"]  # type: ignore[operator]


def test_sqlite_path_is_decoded() -> None:
    assert sqlite_settings("sqlite:////srv/a%20b.sqlite3")["NAME"] == "/srv/a b.sqlite3"
    assert sqlite_settings("sqlite:///var/a.sqlite3")["NAME"] == "var/a.sqlite3"
