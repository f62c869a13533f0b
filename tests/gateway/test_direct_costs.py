"""The exact cost of a direct call in a process that has cached its organization's data."""

from itertools import count

import pytest
from django.db import connection

from aiinfra.gateway.waiting import WaitingRoom
from queue_app.ordering import index
from tests.api.support import COMPLETIONS, Caller
from tests.providers.conftest import SandboxClient
from tests.support.costs import counted_costs

pytestmark = pytest.mark.django_db(transaction=True)

LOCKS = 1 if connection.vendor == "postgresql" else 0
"""Statements that only take the lock of a new budget."""

numbers = count()


def ask(program: Caller) -> None:
    messages = [{"role": "user", "content": f"How do I plant {next(numbers)} trees?"}]
    body = {"model": "deepseek-chat", "messages": messages}
    answer = program.post(COMPLETIONS, body)
    assert answer.status_code == 200, answer.content


@pytest.fixture
def known(program: Caller, sandbox: SandboxClient, room: WaitingRoom) -> None:
    """Warms the process: it has cached the organization, the prices, and that no circuit is open."""
    index.mark_complete()
    for _ in range(3):
        ask(program)


@pytest.mark.usefixtures("known")
def test_direct_call_costs(program: Caller) -> None:
    with counted_costs() as costs:
        ask(program)
    assert costs.counts == (18 + LOCKS, 3, 10)
