from types import SimpleNamespace

import pytest

from aiinfra.stack.terminal import Terminal


def event(name: str, data: bytes = b"") -> SimpleNamespace:
    """An event as supervisor passes it."""
    return SimpleNamespace(process=SimpleNamespace(config=SimpleNamespace(name=name)), data=data)


def test_output_is_printed_line_by_line_with_the_program_s_name(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    for name, data in [("web", b"GET"), ("workers", b"busy\n"), ("web", b" /\nPOST")]:
        terminal.show_output(event(name, data))
    assert capsys.readouterr().out == "workers   | busy\nweb       | GET /\n"


def test_the_banner_is_printed_without_a_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().show_output(event("banner", b"aiinfra is running\n"))
    assert capsys.readouterr().out == "aiinfra is running\n"


def test_an_exit_is_reported_and_partial_output_is_discarded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    terminal.show_output(event("web", b"half a li"))
    terminal.show_end(event("web"))
    terminal.show_output(event("web", b"new\n"))
    ended, new = capsys.readouterr().out.splitlines()
    assert "restarting" in ended
    assert new == "web       | new"


def test_invalid_utf_8_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().show_output(event("web", b"\xff\n"))
    assert capsys.readouterr().out == "web       | \ufffd\n"
