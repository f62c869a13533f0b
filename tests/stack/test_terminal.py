from types import SimpleNamespace

import pytest

from aiinfra.stack.terminal import Terminal


def event(name: str, data: bytes = b"") -> SimpleNamespace:
    """What supervisor passes."""
    return SimpleNamespace(process=SimpleNamespace(config=SimpleNamespace(name=name)), data=data)


def test_pieces_become_whole_lines_with_the_programs_name(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    for name, data in [("web", b"GET"), ("workers", b"busy\n"), ("web", b" /\nPOST")]:
        terminal.show_output(event(name, data))
    assert capsys.readouterr().out == "workers   | busy\nweb       | GET /\n"


def test_the_banner_has_nothing_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().show_output(event("banner", b"aiinfra is running\n"))
    assert capsys.readouterr().out == "aiinfra is running\n"


def test_an_end_is_told_and_the_next_start_begins_a_new_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    terminal.show_output(event("web", b"half a li"))
    terminal.show_end(event("web"))
    terminal.show_output(event("web", b"new\n"))
    ended, new = capsys.readouterr().out.splitlines()
    assert "restarting" in ended
    assert new == "web       | new"


def test_bytes_that_are_no_text_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().show_output(event("web", b"\xff\n"))
    assert capsys.readouterr().out == "web       | \ufffd\n"
