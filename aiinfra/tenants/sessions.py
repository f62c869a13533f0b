"""Sessions that a copy of the database cannot open: a row is found by a keyed hash of what the browser has.

Django's database sessions store the cookie's value itself, and each row of a copy is someone's login. Here the row's
`session_key` is a `SessionId`. Session data is signed, as always, so a changed row is an empty session.

Another table that refers to a session stores `session_id(request.session.session_key)`, or has a `SessionIdField`,
which does that for it.
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.utils import timezone

from aiinfra.encryption import keyed_hashes

PURPOSE = "aiinfra: session keys"
ID_LENGTH = 40
"""The length of the column; 160 bits of the hash."""


class SessionId(str):
    """The stored id of a session. Its type sets it apart from a session key, so no browser can send one."""

    __slots__ = ()


def session_id(key: str) -> SessionId:
    """The stored id of the session with this key; an id is returned unchanged."""
    return session_ids(key)[0]


def session_ids(key: str) -> list[SessionId]:
    """The ids with `SECRET_KEY` and each of its fallbacks, in that order."""
    if isinstance(key, SessionId):
        return [key]
    return [SessionId(each[:ID_LENGTH]) for each in keyed_hashes(key, PURPOSE)]


class SessionStore(db.SessionStore):
    """Django's database sessions, with hashed keys. Its methods take keys of browsers, and `SessionId` of rows."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Django's own table."""
        return Session

    def _get_session_from_db(self) -> Session | None:
        """The row; one that was stored with an earlier `SECRET_KEY` gets a new id."""
        newest, *earlier = session_ids(self.session_key or "")
        rows = Session.objects.filter(expire_date__gt=timezone.now())
        found = rows.filter(session_key=newest).first()
        if found is None and earlier and rows.filter(session_key__in=earlier).update(session_key=newest):
            found = rows.filter(session_key=newest).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        """Whether there is a row, expired or not."""
        return Session.objects.filter(session_key__in=session_ids(session_key)).exists()

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """The row to save."""
        row = super().create_model_instance(data)
        row.session_key = session_id(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Delete this session, or the one with that key."""
        key = session_key or self.session_key
        if key:
            Session.objects.filter(session_key__in=session_ids(key)).delete()

    async def _aget_session_from_db(self) -> Session | None:
        return await sync_to_async(self._get_session_from_db)()

    async def aexists(self, session_key: str) -> bool:
        """See exists."""
        return await sync_to_async(self.exists)(session_key)

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """See create_model_instance."""
        return await sync_to_async(self.create_model_instance)(data)

    async def adelete(self, session_key: str | None = None) -> None:
        """See delete."""
        await sync_to_async(self.delete)(session_key)


class SessionIdField(models.CharField):  # type: ignore[type-arg]  # not generic at run time
    """A column that refers to a session: takes session keys, and stores and returns ids."""

    def get_prep_value(self, value: Any) -> Any:
        """Hash a key; leave an id unchanged."""
        text = super().get_prep_value(value)
        return session_id(value if isinstance(value, SessionId) else text) if text else text

    def from_db_value(self, value: str | None, _expression: Expression, _connection: BaseDatabaseWrapper) -> Any:
        """What is stored is an id."""
        return SessionId(value) if value else value
