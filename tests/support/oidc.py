"""A small OpenID Connect provider on localhost: discovery, JWKS, authorization code with PKCE, refresh, userinfo."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.http_server import serving

CLIENT_ID, CLIENT_SECRET = "aiinfra", "the secret of the client, 256 bits or longer"


@cache
def signing_key() -> rsa.RSAPrivateKey:
    """The key of all providers in this process, because generating one takes more CPU than the rest of a login."""
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Provider:
    """The state of the provider, which tests can change while it runs."""

    issuer: str = ""
    claims: dict[str, Any] = field(
        default_factory=lambda: {"sub": "ada", "email": "Ada@corp.example", "email_verified": True}
    )
    """The claims of the user who logs in next."""
    is_active: bool = True
    is_away: bool = False
    gives_refresh_tokens: bool = True
    key: rsa.RSAPrivateKey = field(default_factory=signing_key)
    signature: tuple[rsa.RSAPrivateKey | str | None, str] | None = None
    """Another key, such as an attacker's, and the algorithm to sign ID tokens with."""
    token: dict[str, Any] = field(default_factory=dict)
    """Overrides members of the ID token."""
    more: dict[str, Any] = field(default_factory=dict)
    """Additional members of the metadata."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            **self.more,
        }

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]}

    def authorize(self, query: dict[str, str]) -> str:
        """The redirect URL. The user is logged in without interaction."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form["grant_type"] == "refresh_token":
            is_known = form["refresh_token"] in self.refresh_tokens
            self.refresh_tokens.discard(form["refresh_token"])
            return (200, self.tokens("")) if is_known and self.is_active else (400, {"error": "invalid_grant"})
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, self.tokens(asked["nonce"])

    def tokens(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **self.claims,
            **self.token,
        }
        found = {"access_token": "access", "token_type": "Bearer"}
        key, algorithm = self.signature or (self.key, "RS256")
        found["id_token"] = jwt.encode(claims, key, algorithm, headers={"kid": "one"})
        if self.gives_refresh_tokens:
            found["refresh_token"] = secrets.token_urlsafe(16)
            self.refresh_tokens.add(found["refresh_token"])
        return found


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer({name: values[0] for name, values in parse_qs(body).items()})

    def _answer(self, form: dict[str, str]) -> None:
        address = urlsplit(self.path)
        self.provider.calls.append(address.path)
        if self.provider.is_away:
            self._send(503, {})
            return
        match address.path:
            case "/.well-known/openid-configuration":
                self._send(200, self.provider.metadata())
            case "/keys":
                self._send(200, self.provider.keys())
            case "/userinfo":
                self._send(200, self.provider.claims)
            case "/token":
                self._send(*(self.provider.exchange(form) if self._is_client() else (401, {"error": "invalid_client"})))
            case "/authorize":
                query = {name: values[0] for name, values in parse_qs(address.query).items()}
                self.send_response(302)
                self.send_header("Location", self.provider.authorize(query))
                self.end_headers()
            case _:
                self._send(404, {})

    def _is_client(self) -> bool:
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def oidc_provider() -> Iterator[Provider]:
    """A provider that runs until the end of the block."""
    provider = Provider()
    handler = type("Handler", (_Handler,), {"provider": provider})
    with serving(handler) as port:
        provider.issuer = f"http://127.0.0.1:{port}"
        yield provider
