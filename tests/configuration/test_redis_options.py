"""redis-py options in `REDIS_URL`: which can be set, and which the code relies on and therefore cannot."""

import inspect
import re

import pytest
from redis.connection import AbstractConnection, Connection, SSLConnection

from aiinfra.configuration.addresses import REDIS_OPTIONS, RedisUrl

CLASSES = (AbstractConnection, Connection, SSLConnection)
OPTIONS = {name for each in CLASSES for name in inspect.signature(each.__init__).parameters} - {"self", "kwargs"}
UNFIT = {
    "command_packer",
    "credential_provider",
    "decode_responses",
    "driver_info",
    "encoding",
    "encoding_errors",
    "event_dispatcher",
    "legacy_responses",
    "parser_class",
    "redis_connect_func",
    "retry",
    "retry_on_error",
    "socket_keepalive_options",
    "socket_type",
    "ssl_ocsp_context",
    "ssl_ocsp_expected_cert",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
}
"""Connection options that cannot be set in a URL."""
INTERNAL = re.compile("himport_|maint|oss_cluster_|orig_")


def test_every_redis_py_option_is_classified() -> None:
    """If redis-py adds an option, decide whether it can be set in a URL."""
    assert {name for name in OPTIONS if not INTERNAL.match(name)} - REDIS_OPTIONS == UNFIT


@pytest.mark.parametrize("url", ["redis://h/0", "rediss://h/0", "unix:///run/redis.sock", "rediss+sentinel://h/main/0"])
@pytest.mark.parametrize("name", sorted(OPTIONS - REDIS_OPTIONS))
def test_a_url_cannot_override_options_that_the_code_relies_on(url: str, name: str) -> None:
    for value in ("", "false", "1"):
        with pytest.raises(ValueError, match=f"must not set the option {name}$"):
            RedisUrl().parse(f"{url}?{name}={value}")
