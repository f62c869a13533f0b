"""The OpenID Connect protocol: discovery, authorization code with PKCE, ID tokens, refresh.

Every call goes through the egress guard, so an issuer on a private network needs `SSO_TRUSTED_HOSTS`.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import jwt
from django.conf import settings

from aiinfra import egress
from aiinfra.tenants.sso.models import Claims, IdentityProvider
from aiinfra.timed_cache import TimedCache

TIMEOUT_S = 10.0
BODY_BYTES = 1024 * 1024
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with the issuer's private key. Never HS256: a client secret is no proof of the issuer."""
CLOCK_SKEW_S = 60
SUBJECT_MAX = 255
WRONG_SHAPES = (TypeError, ValueError, KeyError, AttributeError, OverflowError)
"""What PyJWT raises for keys and claims that are no strings, lists, or numbers where it expects them."""


class ProviderError(Exception):
    """The identity provider did not do what it should. The message is for the person or the administrator."""


class RefusedError(ProviderError):
    """The provider no longer vouches for the person."""


@dataclass(frozen=True)
class Tokens:
    """What the token endpoint returned."""

    id_token: str
    access_token: str
    refresh_token: str


def discover(issuer: str) -> dict[str, Any]:
    """The issuer's metadata. Raises ProviderError."""
    _check_address(issuer)
    found = _call("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise ProviderError(f"The address names another issuer: {str(found.get('issuer'))[:200]}.")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        _check_address(str(found.get(name, "")))
    return found


_metadata = TimedCache(discover, seconds=300, keys_max=1000)


def authorization_url(provider: IdentityProvider, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
    """Where the browser goes to log in. Raises ProviderError."""
    metadata = _metadata.of(provider.issuer)
    scopes = ["openid", "email", "profile"]
    if "offline_access" in _names(metadata, "scopes_supported"):
        scopes.append("offline_access")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    address = str(metadata["authorization_endpoint"])
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"


def check_sender(provider: IdentityProvider, issuer: str | None) -> None:
    """Raise ProviderError unless the issuer that the callback names (RFC 9207) is the one that was asked.

    All organizations share one redirect URI. Without this check, the provider of one could have its users log in at
    that of another, and receive the code.
    """
    announces = _metadata.of(provider.issuer).get("authorization_response_iss_parameter_supported") is True
    if (issuer is None and announces) or issuer not in {None, provider.issuer}:
        raise ProviderError("Another identity provider answered this login.")


def exchange(
    provider: IdentityProvider, *, code: str, verifier: str, redirect_uri: str, nonce: str
) -> tuple[Claims, Tokens]:
    """Trade the code for the person's claims. Raises ProviderError."""
    metadata = _metadata.of(provider.issuer)
    tokens = _tokens(
        provider,
        metadata,
        {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier},
    )
    claims = _verified(provider, metadata, tokens.id_token)
    if claims.get("nonce") != nonce:
        raise ProviderError("The identity provider's response is for another login.")
    return _with_userinfo(metadata, claims, tokens), tokens


def refresh(provider: IdentityProvider, refresh_token: str) -> Tokens:
    """New tokens. Raises RefusedError if the provider ended the grant, ProviderError if it does not answer."""
    metadata = _metadata.of(provider.issuer)
    return _tokens(provider, metadata, {"grant_type": "refresh_token", "refresh_token": refresh_token})


def _tokens(provider: IdentityProvider, metadata: dict[str, Any], form: dict[str, str]) -> Tokens:
    form = {**form, "client_id": provider.client_id}
    methods = _names(metadata, "token_endpoint_auth_methods_supported")
    basic = None
    if provider.client_secret and "client_secret_post" in methods:
        form["client_secret"] = provider.client_secret
    elif provider.client_secret:
        basic = (provider.client_id, provider.client_secret)
    found = _call("POST", str(metadata["token_endpoint"]), data=form, auth=basic)
    names = ("id_token", "access_token", "refresh_token")
    return Tokens(*(str(found.get(name) or "") for name in names))


def _verified(provider: IdentityProvider, metadata: dict[str, Any], id_token: str) -> Claims:
    """The claims of an ID token with a valid signature, issuer, audience and time."""
    try:
        header = jwt.get_unverified_header(id_token)
        keys = jwt.PyJWKSet.from_dict(_call("GET", str(metadata["jwks_uri"]))).keys
        key = next(each for each in keys if header.get("kid") in {None, each.key_id})
        claims: Claims = jwt.decode(
            id_token,
            key,
            algorithms=ALGORITHMS,
            audience=provider.client_id,
            issuer=provider.issuer,
            leeway=CLOCK_SKEW_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except (jwt.PyJWTError, StopIteration, *WRONG_SHAPES) as error:
        raise ProviderError("The identity provider's token is not valid.") from error
    if not 0 < len(claims["sub"]) <= SUBJECT_MAX:
        raise ProviderError("The identity provider's token doesn't identify a user.")
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != provider.client_id:
        raise ProviderError("The identity provider's token is for another application.")
    return claims


def _with_userinfo(metadata: dict[str, Any], claims: Claims, tokens: Tokens) -> Claims:
    """Some providers put email and groups only there. The ID token wins."""
    address = metadata.get("userinfo_endpoint")
    if not address or not tokens.access_token:
        return claims
    _check_address(str(address))
    info = _call("GET", str(address), headers={"Authorization": f"Bearer {tokens.access_token}"})
    return {**info, **claims} if info.get("sub") == claims["sub"] else claims


def _names(metadata: dict[str, Any], member: str) -> list[Any]:
    """A list of the metadata; empty if the provider sends something else."""
    found = metadata.get(member)
    return found if isinstance(found, list) else []


def _check_address(url: str) -> None:
    """TLS, except for hosts that the operator trusts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ProviderError("The identity provider's addresses are not valid.") from None
    is_trusted = (parts.hostname or "") in settings.SSO_TRUSTED_HOSTS
    if not parts.hostname or parts.username or parts.scheme not in ({"https", "http"} if is_trusted else {"https"}):
        raise ProviderError("The identity provider's addresses must start with https://.")


def _call(method: str, url: str, **options: Any) -> dict[str, Any]:
    try:
        with (
            egress.http_client(trusted_hosts=settings.SSO_TRUSTED_HOSTS, body_bytes=BODY_BYTES) as http,
            egress.deadline(TIMEOUT_S),
        ):
            response = http.request(method, url, timeout=egress.timeouts(TIMEOUT_S), **options)
            found = json.loads(response.content)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
        raise ProviderError("The identity provider is not responding.") from error
    if not isinstance(found, dict):
        raise ProviderError("The identity provider's answer is not valid.")
    if response.status_code in {400, 401, 403} and found.get("error") == "invalid_grant":
        raise RefusedError("The identity provider ended this login.")
    if response.status_code != 200:
        raise ProviderError(f"The identity provider answered with status {response.status_code}.")
    return found
