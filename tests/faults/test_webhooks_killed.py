"""kill -9 of workers and webhook senders: each end is reported, with one ID."""

from tests.faults.stack import PAST, Stack
from tests.support.processes import wait_until
from tests.support.receiver import receiving

REQUESTS = 3
SIGN = """
from aiinfra.notifications.channels import add_channel
from aiinfra.tenants.models import Organization
north = Organization.objects.get(slug="north")
fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "low", "actor": "command:test"}
add_channel(organization_id=north.pk, **fields)
"""


def test_each_end_is_reported_after_a_worker_and_a_sender_were_killed(stack: Stack) -> None:
    stack.manage("shell", "--no-imports", "-c", SIGN)
    stack.scheduler.stop()
    with receiving() as receiver:
        mine = sorted(stack.enqueue(f"Webhook {number}", webhook=receiver.url) for number in range(REQUESTS))
        stack.wait_until_ended(mine)
        stack.workers.kill_group()
        assert receiver.received == [], "no sender was running"
        assert undelivered(stack) == mine, "no messages were pending"

        receiver.may_answer.clear()
        stack.scheduler.start()
        wait_until(lambda: len(receiver.received) == REQUESTS, "the messages")
        stack.scheduler.kill_group()
        assert undelivered(stack) == mine, "delivered messages should still be pending"
        receiver.may_answer.set()
        stack.database.rows(f"UPDATE notifications_delivery SET next_try_at = '{PAST}'")  # noqa: S608 - a constant
        stack.scheduler.start()
        wait_until(lambda: not undelivered(stack), "all to be sent")

        reported = [message["data"]["requestId"] for message in receiver.messages()]
        assert sorted(reported) == sorted(mine * 2)
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == REQUESTS


def undelivered(stack: Stack) -> list[str]:
    """The requests whose message is not recorded as delivered."""
    rows = stack.database.rows("SELECT about FROM notifications_delivery WHERE state IN ('pending', 'failed')")
    return sorted(str(about) for (about,) in rows)
