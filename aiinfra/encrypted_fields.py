"""A model field whose column is encrypted."""

from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

from aiinfra.encryption import UndecryptableError, decrypt, encrypt


class Undecryptable(str):
    """The value of an encrypted field that no key can decrypt: an empty string that carries the stored value.

    Saving the row writes the stored value back, so nothing is lost until the right key is available again.
    """

    __slots__ = ("stored",)
    stored: str

    def __new__(cls, stored: str = "") -> "Undecryptable":
        """Attach the stored value. Copying creates the object without it and sets it afterward."""
        text = super().__new__(cls)
        text.stored = stored
        return text


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # not generic at run time
    """Text that is encrypted in the database; "" stays "".

    The same text is stored differently each time, so no query can compare it: lookups other than `isnull` raise
    FieldError. To find a row by a secret, store its `keyed_hash` in a column of its own.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt; a value that could not be decrypted is written back unchanged."""
        if isinstance(value, Undecryptable):
            return value.stored
        text = super().get_prep_value(value)
        return encrypt(text) if text else text

    def from_db_value(self, value: str | None, _expression: Expression, _connection: BaseDatabaseWrapper) -> Any:
        """Decrypt; never raises, so that one damaged row does not break a list."""
        if not value:
            return value
        try:
            return decrypt(value)
        except UndecryptableError:
            return Undecryptable(value)

    def get_lookup(self, lookup_name: str) -> Any:
        """Refuse comparisons, which would silently match nothing."""
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted and cannot be compared in a query")
        return super().get_lookup(lookup_name)
