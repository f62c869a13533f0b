"""What a response learns of its client. The web server's side is tested in tests/stack/web."""

import pytest

from aiinfra.gateway.client_socket import CONNECTION, ClientSocket


class Connection:
    """A connection as the web server offers it."""

    def __init__(self, *, is_gone: bool, is_sent: bool) -> None:
        self._is_gone = is_gone
        self._is_sent = is_sent

    def is_gone(self) -> bool:
        return self._is_gone

    def wait_until_sent(self, timeout_s: float) -> bool:  # noqa: ARG002
        return self._is_sent


@pytest.mark.parametrize("value", [True, False])
def test_the_server_says_whether_the_client_is_there_and_reads(value: bool) -> None:
    seen = ClientSocket({CONNECTION: Connection(is_gone=value, is_sent=value)})
    assert (seen.is_gone(), seen.is_ready(0)) == (value, value)


def test_another_server_says_nothing() -> None:
    seen = ClientSocket({})
    assert (seen.is_gone(), seen.is_ready(0)) == (False, True)
