"""A sandbox process as the provider, and a worker in a thread of the test's process."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from aiinfra.gateway import chat
from aiinfra.gateway.feed import feed
from aiinfra.gateway.waiting import WaitingRoom
from queue_app import tasks
from queue_app.processing import direct
from tests.api.conftest import _queue, admin_browser, browser, completed, key_of, nothing_stored, other_program, program  # noqa: F401 - fixtures
from tests.gateway.stepwise import stepwise  # noqa: F401 - fixture
from tests.gateway.streams import listen, slots  # noqa: F401 - fixtures
from tests.providers.conftest import sandbox, sandbox_process  # noqa: F401 - fixtures
from tests.queue_app.conftest import provider  # noqa: F401 - fixture
from tests.support.web import serve  # noqa: F401 - fixture

PAUSE_S = 0.02


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> WaitingRoom:
    """A new waiting room with two slots."""
    fresh = WaitingRoom(2)
    monkeypatch.setattr(chat, "waiting_room", fresh)
    return fresh


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps calls from starting directly: each waits for a worker."""
    monkeypatch.setattr(direct, "try_start", lambda _request: (None, False))


@pytest.fixture
def worker(redis_url: str) -> Iterator[Callable[[], None]]:
    """Starts a worker that runs tickets until the end of the test."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(PAUSE_S):
            tasks.run_next()
        connection.close()

    threads: list[threading.Thread] = []

    def begin() -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield begin
    stop.set()
    for thread in threads:
        thread.join()


def has_exactly_free_slots(room: WaitingRoom, number: int) -> bool:
    """Whether exactly this many slots are free and no one is waiting."""
    return room._slots._total - room._slots.taken() == number and feed.count() == 0
