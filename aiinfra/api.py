"""The base of the JSON API. An endpoint is a table of operations; this module implements what they share.

It authenticates the caller, finds the operation, authorizes, parses, calls, and encodes, with one error shape. The
OpenAPI document (`aiinfra.openapi`) is generated from the same table, and the authorization tests walk it.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from aiinfra import epochs
from aiinfra.api_callers import authenticate, check_csrf, check_user, credential_of, in_organization
from aiinfra.api_limits import admit, with_limits
from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.error_responses import error_response
from aiinfra.failures import ApiError, failure_of
from aiinfra.idempotency import Answer, InProgressError, KeyReusedError, digest_of, run_once
from aiinfra.json_body import NODES_MAX, check_tree, read_json, read_query
from aiinfra.tenants import key_authentication
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.key_access import DOORS
from aiinfra.tenants.scope import organization_scope
from aiinfra.validation import first_problem

logger = logging.getLogger(__name__)

IDEMPOTENCY_KEY = r"[!-~]{1,255}"
NO_ACTIONS = "This endpoint has no actions."
LIMITS: dict[type[Exception], str] = {
    TooManyFieldsSent: "The request has too many parameters or form fields.",
    TooManyFilesSent: "The form has too many files.",
    RequestDataTooBig: "The fields of the form are too large.",
}
"""Replaces Django's messages, which name its settings."""


def _as_whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE_FLOATS = BeforeValidator(_as_whole)
"""Accepts integers written as 30000.0, which JSON Schema and some languages' encoders treat as integers."""


class ApiModel(BaseModel):
    """Base of every payload and result: camelCase on the wire, snake_case here, unknown members rejected."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid")


class NoParameters(ApiModel):
    """Nothing beside the action."""


class Removed(ApiModel):
    """How many were removed."""

    removed: int


@dataclass(frozen=True)
class ApiCall:
    """What a handler receives besides its payload."""

    http: HttpRequest
    principal: Principal
    idempotency_key: str | None


@dataclass(frozen=True)
class Header:
    """An optional aiinfra request header. `check` raises ApiError 400 for an invalid value."""

    name: str
    schema: Mapping[str, str]
    description: str
    check: Callable[[HttpRequest], object]


@dataclass(frozen=True)
class Operation:
    """An operation of an endpoint: who may call it, what it takes, and what it returns."""

    handler: Callable[[ApiCall, Any], BaseModel | HttpResponseBase]
    permission: str
    payload: type[ApiModel]
    result: type[BaseModel]
    summary: str
    status: int = 200
    key_only: bool = False
    also: tuple[tuple[int, type[BaseModel]], ...] = ()
    """Other success statuses and their results, for the OpenAPI document."""
    or_permissions: tuple[str, ...] = ()
    """Permissions that allow the operation instead of `permission`."""
    content_type: str = "application/json"
    door: str = ""
    """The endpoint's name in `aiinfra.tenants.key_access`, for restricting keys. Empty if it sends no calls."""
    once: Literal["atomic", "claimed", "own", "never"] = "atomic"
    """How `Idempotency-Key` is handled: stored in the same transaction as the effect; claimed before it, for operations
    that use Redis or a provider; stored by the handler in its own row; or ignored, as the response has a secret."""
    once_with: Callable[[ApiCall], tuple[object, ...]] = lambda _call: ()
    """What a retry must match besides URL and payload, such as headers."""
    headers: tuple[Header, ...] = ()
    """Accepted headers. Other operations with this URL and method ignore them, but still reject invalid values."""

    @property
    def results(self) -> tuple[tuple[int, type[BaseModel]], ...]:
        """Every success status and its result."""
        return ((self.status, self.result), *self.also)


class Endpoint:
    """The view of one URL. `operations` maps (HTTP method, action) to an operation; action None is the default."""

    csrf_exempt = True
    login_required = False
    body_bytes_max = BODY_BYTES_MAX
    """Also enforced by the web server and the middleware (`aiinfra.bodies`)."""
    body_nodes_max = NODES_MAX
    is_in_schema = True
    """Whether the OpenAPI document includes it. Vendors document the endpoints in their own API formats."""

    def __init__(self, operations: dict[tuple[str, str | None], Operation]) -> None:
        self.operations = operations
        self.__name__ = self.__qualname__ = "endpoint"

    def __call__(self, request: HttpRequest, **captured: str) -> HttpResponseBase:
        try:
            with epochs.request():
                return self._answer(request, captured)
        except ApiError as error:
            return error_response(request, error)
        except (SuspiciousOperation, UnreadablePostError) as error:
            message = LIMITS.get(type(error), str(error))
            return error_response(request, ApiError(400, "invalid_request", message))
        except Exception as error:
            logger.exception("request failed")
            return error_response(request, failure_of(error))

    def _answer(self, request: HttpRequest, captured: dict[str, str]) -> HttpResponseBase:
        owner_of = key_authentication.recognize
        while True:
            try:
                return self._limited(request, captured, owner_of)
            except _CallerChangedError:
                owner_of = key_authentication.authenticate

    def _limited(
        self, request: HttpRequest, captured: dict[str, str], owner_of: Callable[[str], Principal | None]
    ) -> HttpResponseBase:
        principal, by_session = authenticate(request, owner_of)
        request.caller = principal  # type: ignore[attr-defined]

        def check_caller() -> None:
            # Checking the rate limits has read the epoch; the key may have changed since it was cached.
            if not by_session and key_authentication.authenticate(credential_of(request)) != principal:
                raise _CallerChangedError

        def respond() -> HttpResponseBase:
            check_caller()
            return self._operate(request, captured, principal, by_session)

        try:
            admission = admit(request, principal)
        except ApiError:
            check_caller()  # the limits may have been raised
            raise
        return with_limits(admission, respond)

    def _operate(
        self, request: HttpRequest, captured: dict[str, str], principal: Principal, by_session: bool
    ) -> HttpResponseBase:
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in {verb for verb, _ in self.operations}:
            verbs = sorted({verb for verb, _ in self.operations})
            allowed = ", ".join([*verbs, *(["HEAD"] if "GET" in verbs else [])])
            raise ApiError(405, "method_not_allowed", f"Use {', '.join(verbs)}.", headers={"Allow": allowed})
        raw = {**(read_query(request) if method == "GET" else self.read_body(request)), **captured}
        if by_session:
            check_csrf(request)
        check_tree(raw, self.body_nodes_max)
        for header in self.headers(method):
            header.check(request)
        operation = self._find(method, raw.pop("action", None))
        principal = in_organization(principal, raw.pop("organizationId", None), request)
        authorize(principal, operation, by_session)
        payload = parse(operation.payload, raw, strict=method != "GET")
        check_user(principal, request, getattr(payload, "user_id", ""))
        with organization_scope(principal.organization_id):
            return _respond(operation, ApiCall(request, principal, idempotency_key(request)), payload)

    def headers(self, method: str) -> list[Header]:
        """The headers of all operations with this method."""
        return [
            each for (verb, _), operation in self.operations.items() if verb == method for each in operation.headers
        ]

    def read_body(self, request: HttpRequest) -> dict[str, Any]:
        """The fields of the body, which is JSON unless the endpoint overrides this. Raises ApiError 400, 413 or 415."""
        return read_json(request, self.body_bytes_max)

    def _find(self, method: str, action: object) -> Operation:
        if (action is None or isinstance(action, str)) and (method, action) in self.operations:
            return self.operations[method, action]
        known = ", ".join(sorted(name for verb, name in self.operations if verb == method and name))
        message = f"Unknown action. Supported actions: {known}." if known else NO_ACTIONS
        raise ApiError(400, "invalid_request", message, param="action")


def _respond(operation: Operation, call: ApiCall, payload: ApiModel) -> HttpResponseBase:
    # A payload with an ID of its own stores that ID in its row, so the key is kept as for other operations.
    keeps_key = operation.once == "own" and not getattr(payload, "external_id", None)
    if call.idempotency_key is None or call.http.method == "GET" or keeps_key or operation.once == "never":
        result = operation.handler(call, payload)
        return result if isinstance(result, HttpResponseBase) else json_response(result, operation.status)
    asked = digest_of(call.http.path, operation.summary, payload.model_dump_json(), *operation.once_with(call))
    try:
        answer = _do_once(operation, call, payload, asked)
    except KeyReusedError:
        message = "This idempotency key was already used with a different request."
        raise ApiError(409, "idempotency_conflict", message, param="Idempotency-Key") from None
    except InProgressError:
        message = "The first request with this key is still running. Try again in a second."
        raise ApiError(409, "idempotency_in_progress", message, headers={"Retry-After": "1"}) from None
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    if answer.is_repeat:
        response["Idempotent-Replayed"] = "true"
    return response


def _do_once(operation: Operation, call: ApiCall, payload: ApiModel, asked: str) -> Answer:
    def act() -> Answer:
        result = operation.handler(call, payload)
        if not isinstance(result, BaseModel):
            raise TypeError("a stored answer must be a model; other operations must store the key themselves")
        return Answer(operation.status, result.model_dump_json(by_alias=True))

    is_atomic = operation.once == "atomic"
    return run_once(call.principal.organization_id, str(call.idempotency_key), asked, act, is_atomic=is_atomic)


class _CallerChangedError(Exception):
    """The key was changed or revoked after this process last loaded it."""


def authorize(principal: Principal, operation: Operation, by_session: bool) -> None:
    """Raise ApiError 403 unless the caller has the permission."""
    if not any(map(principal.can, (operation.permission, *operation.or_permissions))):
        raise ApiError(403, "forbidden", f"This requires the permission {operation.permission}.")
    if not principal.limits.access.allows_door(operation.door):
        raise ApiError(403, "forbidden", f"This key can't use the endpoint {DOORS[operation.door]}.")
    if operation.key_only and by_session:
        raise ApiError(403, "forbidden", "Only API keys can change data with GET. Use POST.")


def idempotency_key(request: HttpRequest) -> str | None:
    """The `Idempotency-Key` header. Raises ApiError 400."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(IDEMPOTENCY_KEY, key):
        message = "Use 1 to 255 printable ASCII characters without spaces."
        raise ApiError(400, "invalid_request", message, param="Idempotency-Key")
    return key


def parse(payload: type[ApiModel], raw: dict[str, Any], *, strict: bool) -> ApiModel:
    """The validated payload; with `strict`, "5" is not a number. Raises ApiError 400 naming the field."""
    try:
        return payload.model_validate(raw, by_name=False, by_alias=True, strict=strict)
    except ValidationError as error:
        path, message = first_problem(error, raw)
        raise ApiError(400, "invalid_request", message, param=".".join(map(str, path)) or None) from None


def json_response(result: BaseModel, status: int = 200) -> HttpResponse:
    """The result in camelCase."""
    return HttpResponse(result.model_dump_json(by_alias=True), status=status, content_type="application/json")
