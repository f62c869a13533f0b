"""What a response knows about its client's connection. The web server's side is tested in tests/stack/web."""

import pytest

from aiinfra.gateway.client_socket import CONNECTION, ClientSocket


class Connection:
    """The interface of the web server's connections."""

    def __init__(self, *, is_gone: bool, is_sent: bool) -> None:
        self._is_gone = is_gone
        self._is_sent = is_sent

    def is_gone(self) -> bool:
        return self._is_gone

    def wait_until_sent(self, timeout_s: float) -> bool:  # noqa: ARG002
        return self._is_sent


@pytest.mark.parametrize("value", [True, False])
def test_server_reports_whether_the_client_is_connected_and_reading(value: bool) -> None:
    seen = ClientSocket({CONNECTION: Connection(is_gone=value, is_sent=value)})
    assert (seen.is_gone(), seen.is_ready(0)) == (value, value)


def test_client_is_assumed_connected_but_not_ready_on_other_servers() -> None:
    seen = ClientSocket({})
    assert (seen.is_gone(), seen.is_ready(0)) == (False, True)
