"""`/api/ai/keys`: the organization's API keys, and what each of them may do."""

from dataclasses import replace
from decimal import Decimal

from aiinfra.api import ApiCall, Endpoint, Operation
from aiinfra.failures import ApiError, not_found
from aiinfra.keyset import row_page
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.change_key_limits import change_limits
from aiinfra.tenants.key_access import KeyAccess, doors_of, models_of, tags_of
from aiinfra.tenants.key_limits import NANO, KeyLimits, networks_of
from aiinfra.tenants.key_payloads import (
    KeyAccessIn,
    KeyExpiryIn,
    KeyLimitsIn,
    KeyOut,
    KeyPage,
    KeyReference,
    KeysQuery,
    KeyWebhookIn,
    WebhookSecretOut,
)
from aiinfra.tenants.models import ApiKey
from aiinfra.tenants.webhook_secrets import remove_webhook_secret, rotate_webhook_secret
from aiinfra.webhook_urls import check_url

PAGE_SIZE = 100


def list_keys(_call: ApiCall, payload: KeysQuery) -> KeyPage:
    """A page of keys."""
    try:
        page = row_page(ApiKey.objects.all(), "id", cursor=payload.cursor, size=PAGE_SIZE)
    except ValueError:
        raise ApiError(400, "invalid_request", "This cursor is invalid.", param="cursor") from None
    return KeyPage(keys=[_shown(key) for key in page.rows], next_cursor=page.next_cursor or None)


def set_limits(call: ApiCall, payload: KeyLimitsIn) -> KeyOut:
    """Replace all limits of another key."""
    key = _other_key(call, payload.key_id)
    try:
        networks = networks_of(payload.allowed_networks)
    except ValueError as error:
        raise ApiError(400, "invalid_request", str(error), param="allowedNetworks") from None
    amount = payload.dollars_per_minute
    limits = KeyLimits(
        requests_per_minute=payload.requests_per_minute,
        concurrent_requests=payload.concurrent_requests,
        tokens_per_minute=payload.tokens_per_minute,
        nano_per_minute=None if amount is None else int(Decimal(amount) * NANO),
        networks=networks,
        access=key.limits.access,
    )
    return _changed(call, key, limits)


def set_access(call: ApiCall, payload: KeyAccessIn) -> KeyOut:
    """Replace all access rules of another key."""
    key = _other_key(call, payload.key_id)
    access = KeyAccess(
        models=models_of(payload.allowed_models),
        doors=doors_of(payload.allowed_endpoints),
        tags=tags_of(payload.default_tags),
        priority="" if payload.default_priority in (None, "normal") else payload.default_priority,
        webhook=key.limits.access.webhook,
    )
    return _changed(call, key, replace(key.limits, access=access))


def set_webhook(call: ApiCall, payload: KeyWebhookIn) -> KeyOut:
    """Change the URL that is notified when a request of another key ends."""
    key = _other_key(call, payload.key_id)
    url = payload.url or ""
    if url:
        try:
            check_url(url)
        except ValueError as error:
            raise ApiError(400, "invalid_request", str(error), param="url") from None
    access = replace(key.limits.access, webhook=url)
    return _changed(call, key, replace(key.limits, access=access))


def rotate_secret(call: ApiCall, payload: KeyReference) -> WebhookSecretOut:
    """Create or replace the signing secret of another key. A repeat creates another one: no answer is stored."""
    key = _other_key(call, payload.key_id)
    _check_may_change(call, key)
    secret = rotate_webhook_secret(key=key, actor=call.principal.actor)
    return WebhookSecretOut(key_id=key.key_id, webhook_secret=secret)


def remove_secret(call: ApiCall, payload: KeyReference) -> KeyOut:
    """Remove the signing secret of another key."""
    key = _other_key(call, payload.key_id)
    _check_may_change(call, key)
    remove_webhook_secret(key=key, actor=call.principal.actor)
    return _shown(ApiKey.objects.get(pk=key.pk))


def _check_may_change(call: ApiCall, key: ApiKey) -> None:
    if not keys.can_make(call.principal.role, Role(key.role), key.scopes):
        raise ApiError(403, "forbidden", "A key with more permissions than yours can't be changed.")


def _changed(call: ApiCall, key: ApiKey, limits: KeyLimits) -> KeyOut:
    _check_may_change(call, key)
    change_limits(key=key, limits=limits, actor=call.principal.actor)
    return _shown(ApiKey.objects.get(pk=key.pk))


def set_expiry(call: ApiCall, payload: KeyExpiryIn) -> KeyOut:
    """Change when another key ends."""
    key = _other_key(call, payload.key_id)
    try:
        keys.change_expiry(key=key, expires_at=payload.expires_at, by=call.principal.role, actor=call.principal.actor)
    except keys.PermissionExceededError as error:
        raise ApiError(403, "forbidden", str(error)) from None
    except ValueError as error:
        raise ApiError(400, "invalid_request", str(error), param="expiresAt") from None
    return _shown(ApiKey.objects.get(pk=key.pk))


def _other_key(call: ApiCall, key_id: str) -> ApiKey:
    """Raises ApiError 404, and 403 for the caller's own key: a limit that a key can lift is none."""
    key = ApiKey.objects.filter(key_id=key_id).first()
    if key is None:
        raise not_found()
    own = call.principal.api_key_id
    if own is not None and keys.line_of(own).filter(pk=key.pk).exists():
        raise ApiError(403, "forbidden", "A key can't change its own limits or expiry.")
    return key


def _shown(key: ApiKey) -> KeyOut:
    limits = key.limits.as_json()
    return KeyOut.model_validate(
        {
            **limits,
            "key_id": key.key_id,
            "name": key.name,
            "role": key.role,
            "scopes": key.scopes,
            "has_webhook_secret": key.webhook_secret is not None,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "last_used_at": key.last_used_at,
            "revoked_at": key.revoked_at,
        }
    )


keys_endpoint = Endpoint(
    {
        ("GET", "list"): Operation(list_keys, "key:limit", KeysQuery, KeyPage, "List API keys with their limits"),
        ("POST", "set-limits"): Operation(
            set_limits, "key:limit", KeyLimitsIn, KeyOut, "Replace all limits of another API key"
        ),
        ("POST", "set-access"): Operation(
            set_access, "key:limit", KeyAccessIn, KeyOut, "Replace the models and endpoints of another API key"
        ),
        ("POST", "set-webhook"): Operation(
            set_webhook, "key:limit", KeyWebhookIn, KeyOut, "Change the webhook of another API key"
        ),
        ("POST", "rotate-webhook-secret"): Operation(
            rotate_secret,
            "key:limit",
            KeyReference,
            WebhookSecretOut,
            "Create or replace the signing secret of another API key",
            once="never",
        ),
        ("POST", "remove-webhook-secret"): Operation(
            remove_secret, "key:limit", KeyReference, KeyOut, "Remove the signing secret of another API key"
        ),
        ("POST", "set-expiry"): Operation(
            set_expiry, "key:limit", KeyExpiryIn, KeyOut, "Change when another API key ends"
        ),
    }
)
