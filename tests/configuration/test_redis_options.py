"""Options of redis-py in `REDIS_URL`: those that a URL can carry, and none that the code relies on."""

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
"""Those that matter for a connection. The others belong to redis-py's own machinery."""
INTERNAL = re.compile("himport_|maint|oss_cluster_|orig_")


def test_every_option_of_redis_py_has_been_looked_at() -> None:
    """A new one can be in a URL, or cannot."""
    assert {name for name in OPTIONS if not INTERNAL.match(name)} - REDIS_OPTIONS == UNFIT


@pytest.mark.parametrize("url", ["redis://h/0", "rediss://h/0", "unix:///run/redis.sock", "rediss+sentinel://h/main/0"])
@pytest.mark.parametrize("name", sorted(OPTIONS - REDIS_OPTIONS))
def test_a_url_cannot_override_what_the_code_relies_on(url: str, name: str) -> None:
    for value in ("", "false", "1"):
        with pytest.raises(ValueError, match=f"must not set the option {name}$"):
            RedisUrl().parse(f"{url}?{name}={value}")
