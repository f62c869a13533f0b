"""Parsing of Sentinel URLs."""

from aiinfra.configuration.sentinels import Sentinels, rq_address, sentinels_of


def test_a_url_with_all_options() -> None:
    url = "rediss+sentinel://user:p%40ss@a:1,[::1]/main/2?ssl_ca_certs=/ca.pem&sentinel_username=s&sentinel_password=t"
    tls = {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert sentinels_of(url) == Sentinels(
        addresses=(("a", 1), ("::1", 26379)),
        service="main",
        server={"username": "user", "password": "p@ss", "db": 2, **tls},
        sentinel={"username": "s", "password": "t", **tls},
    )


def test_a_url_with_only_an_address() -> None:
    assert sentinels_of("redis+sentinel://a/main") == Sentinels((("a", 26379),), "main", {}, {})


def test_other_urls_are_not_sentinel_urls() -> None:
    assert sentinels_of("redis://a/0") is None
    assert rq_address("redis://a/0") == {"URL": "redis://a/0"}


def test_django_rq_gets_the_same_connection_options() -> None:
    assert rq_address("redis+sentinel://:pw@a/main?sentinel_password=t") == {
        "SENTINELS": [("a", 26379)],
        "MASTER_NAME": "main",
        "CONNECTION_KWARGS": {"password": "pw"},
        "SENTINEL_KWARGS": {"password": "t"},
    }
