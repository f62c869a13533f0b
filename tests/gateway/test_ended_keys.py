"""A key that is revoked or expires during a call: the call ends as usual and is billed, and the next one is refused."""

from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import change_expiry, revoke_key
from aiinfra.tenants.models import ApiKey
from aiinfra.tenants.scope import system_scope
from cost_app.models import LedgerEntry
from queue_app.models import Status
from tests.api.support import Caller, refused
from tests.gateway.stepwise import Stepwise
from tests.gateway.streamed import DONE, ask, events_of, text_of
from tests.gateway.test_chat_waits import the_request
from tests.support.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
MODELS = "/v1/models"


def end_key(end: str) -> None:
    with system_scope():
        key = ApiKey.objects.get()
        if end == "revoked":
            revoke_key(key=key, actor="user:admin")
            return
        change_expiry(key=key, expires_at=timezone.now() + timedelta(hours=1), by=Role.OWNER, actor="user:admin")
        ApiKey.objects.update(expires_at=timezone.now())


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_stream_goes_on_to_its_end(program: Caller, stepwise: Stepwise, room: WaitingRoom, end: str) -> None:
    events = events_of(ask(program))
    stepwise.send_text("Plan ")
    first = next(events)
    end_key(end)
    stepwise.send_text("it.")
    stepwise.finish()
    *rest, done = events
    assert (text_of([first, *rest]), done) == ("Plan it.", DONE)
    assert the_request().status == Status.COMPLETED
    with system_scope():
        assert LedgerEntry.objects.get().nano > 0
    wait_until(lambda: program.get(MODELS).status_code == 401, "the end of the key")
    assert refused(ask(program), 401)["message"] == "Invalid API key."
