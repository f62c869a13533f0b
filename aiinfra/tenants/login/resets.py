"""Links to reset a password.

A request does the same work for every address, so neither the response nor its timing reveals which have an account.
The scheduler looks for the account and sends the link.
"""

from datetime import timedelta
from urllib.parse import urljoin

from allauth.account.forms import default_token_generator
from allauth.account.utils import filter_users_by_email, user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.db import connection
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from aiinfra.logs import request_id_var
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.caller import caller_address
from aiinfra.tenants.login.backends import PersonBackend
from aiinfra.tenants.models import ResetRequest, User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record

EVERY_S = 2.0
RETRY_AFTER = timedelta(seconds=60)
GIVE_UP_AFTER = timedelta(minutes=10)
"""People who have waited this long for a message have asked again."""
AT_ONCE = 20
IS_ANY_DUE = "SELECT 1 FROM requests WHERE due_at <= %s LIMIT 1".replace("requests", ResetRequest._meta.db_table)
"""Written by hand, because it runs often: a queryset writes its SQL each time."""


def ask(email: str) -> None:
    """Keep the request for the scheduler."""
    ResetRequest.objects.create(email=email, ip_address=caller_address(), request_id=request_id_var.get())


def is_any_due() -> bool:
    """Whether a link is due."""
    with connection.cursor() as cursor:
        cursor.execute(IS_ANY_DUE, [connection.ops.adapt_datetimefield_value(timezone.now())])
        return cursor.fetchone() is not None


def send_links() -> int:
    """Send the links that are due, the oldest first; returns how many requests were due. Several schedulers can run at
    once. A message that the mail server doesn't accept is tried again for ten minutes.
    """
    due = list(ResetRequest.objects.filter(due_at__lte=timezone.now()).order_by("due_at")[:AT_ONCE])
    one_by_one(due, _handle)
    return len(due)


def _handle(row: ResetRequest) -> None:
    now = timezone.now()
    claimed = ResetRequest.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=now + RETRY_AFTER)
    if not claimed:
        return
    if now - row.asked_at < GIVE_UP_AFTER:
        for user in filter_users_by_email(row.email, is_active=True):
            _send(user, row)
    row.delete()


def _send(user: User, row: ResetRequest) -> None:
    """People who log in elsewhere, and demo accounts where they are not allowed, get no link."""
    if not user.email or not PersonBackend().user_can_authenticate(user):
        return
    words = {"user": user, "password_reset_url": _link(user)}
    subject = render_to_string("account/email/password_reset_key_subject.txt").strip()
    send_mail(subject, render_to_string("account/email/password_reset_key_message.txt", words), None, [user.email])
    record(
        Event.PASSWORD_RESET_REQUESTED,
        actor=user_actor(user),
        target=user.get_username(),
        address=row.ip_address,
        request_id=row.request_id,
    )


def _link(user: User) -> str:
    """Starts with the product's public address, not with the Host header of whoever asked."""
    place = [user_pk_to_url_str(user), default_token_generator.make_token(user)]
    return urljoin(settings.AIINFRA_PUBLIC_URL, reverse("account_reset_password_from_key", args=place))
