"""Shared code of the Python facades for the queue, the cache and the cost engine.

The facades accept exactly what the JSON API accepts: each call is checked against the same payload model as its HTTP
counterpart, with the same limits on text, nesting and size. Only the error differs: InvalidValueError here, a 400 with
`param` there.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.alias_generators import to_snake

from aiinfra.api import ApiModel
from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.failures import printable_path
from aiinfra.json_body import first_error
from aiinfra.tenants.models import Organization
from aiinfra.validation import words_of

Payload = TypeVar("Payload", bound=ApiModel)
Result = TypeVar("Result")
PYTHON = "Python"
"""The actor in the audit log for changes made through a facade."""


class InvalidValueError(ValueError):
    """An argument that the API rejects; nothing was stored.

    `field` is the argument's path as the caller spelled it ("messages.0.role"), or empty if it concerns the whole call;
    `message` describes the problem.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = printable_path(field)
        super().__init__(f"{self.field}: {message}" if field else message)
        self.message = message


class UnknownOptionError(InvalidValueError, TypeError):
    """An unknown option of an operation; also a TypeError, as for any unexpected keyword argument."""


class UnknownOrganizationError(LookupError):
    """No organization has this slug."""


def organization_named(slug: str) -> Organization:
    """The organization with this slug. Raises UnknownOrganizationError, and InvalidValueError if it is not a string."""
    if not isinstance(slug, str):
        raise InvalidValueError("organization_id", "This must be a string.")
    if flaw := first_error(slug):
        raise InvalidValueError("organization_id", flaw[1])
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise UnknownOrganizationError(f"Unknown organization {slug!r}.")
    return organization


def checked(payload: type[Payload], raw: Mapping[str, Any], *, also: tuple[type, ...] = ()) -> Payload:
    """Validate the arguments of a call as the JSON API would validate its payload. Raises InvalidValueError.

    Keys of mappings may be camelCase or snake_case. `also` names non-JSON types that a field parses itself.
    """
    if flaw := first_error(raw):
        raise InvalidValueError(*flaw)
    plain = {name: _plain(value, name, also) for name, value in raw.items()}
    if len(pydantic_core.to_json(plain)) > BODY_BYTES_MAX:
        raise InvalidValueError(_largest(plain), f"The arguments are larger than {BODY_BYTES_MAX} bytes.")
    try:
        return payload.model_validate(plain, by_name=True, by_alias=True, strict=True)
    except ValidationError as error:
        raise _refusal(error) from None


def result_of(kind: type[Result], payload: BaseModel) -> Result:
    """The JSON API's answer as a dataclass with the same field names; decimal strings become Decimals."""
    reader: TypeAdapter[Result] = _reader(kind)  # type: ignore[arg-type]  # mypy takes classes for unhashable
    return reader.validate_python(payload.model_dump())


@cache
def _reader(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _plain(value: object, path: str, also: tuple[type, ...]) -> Any:
    """The value in JSON types; tuples become lists."""
    if value is None or isinstance(value, (str, bool, int, float, *also)):
        return value
    if isinstance(value, list | tuple):
        return [_plain(child, f"{path}.{index}", also) for index, child in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(name, path): _plain(child, f"{path}.{name}", also) for name, child in value.items()}
    raise InvalidValueError(path, f"A {type(value).__name__} can't be encoded as JSON.")


def _key(name: object, path: str) -> str:
    if isinstance(name, str):
        return name
    raise InvalidValueError(path, "Keys should be strings.")


def _largest(plain: Mapping[str, Any]) -> str:
    return max(plain, key=lambda name: len(pydantic_core.to_json(plain[name])))


def _refusal(error: ValidationError) -> InvalidValueError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    *within, last = first["loc"] or ("",)
    if first["type"] == "missing":  # pydantic reports the alias, which the caller may not use
        last = to_snake(str(last))
    field = ".".join(map(str, (*within, last)))
    if first["type"] == "extra_forbidden" and not within:
        return UnknownOptionError(field, "Unknown option.")
    return InvalidValueError(field, words_of(first))
