"""Value types for addresses: hosts, URLs, the database, Redis, a mailbox."""

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, parse_qs, urlsplit

from aiinfra.configuration.databases import POSTGRES, postgres_options
from aiinfra.configuration.sentinels import Sentinels, sentinels_of

NAME = r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
REDIS = ("redis", "rediss", "unix")


def is_host(text: str) -> bool:
    """A host name, an IPv4 address, or an IPv6 address in brackets."""
    if text.startswith("[") and text.endswith("]"):
        return _is_ipv6(text[1:-1])
    if re.fullmatch(r"[0-9.]+", text):
        return _is_ip(text)
    return re.fullmatch(NAME, text, re.IGNORECASE | re.ASCII) is not None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


class Host:
    """A host name or IP address, without scheme and port."""

    range = "a host name or an address"
    is_secret = False

    def parse(self, text: str) -> str:
        """See Kind."""
        if not is_host(text):
            raise ValueError("must be a host name or an IP address (IPv6 in brackets), without scheme or port")
        return text


class Hosts:
    """Hosts, separated by commas or spaces.

    With `patterns` also `.example.com` (the domain and its subdomains) and `*` (any).
    """

    is_secret = False

    def __init__(self, *, patterns: bool = False) -> None:
        self._patterns = patterns
        self.range = "host names, `.domain` or `*`" if patterns else "host names"

    def parse(self, text: str) -> list[str]:
        """Return the hosts in lowercase."""
        hosts = [part.lower() for part in re.split(r"[,\s]+", text) if part]
        if wrong := [host for host in hosts if not self._is_accepted(host)]:
            raise ValueError(f"must be host names separated by commas, without scheme or port, not {wrong[0]!r}")
        return hosts

    def _is_accepted(self, host: str) -> bool:
        return is_host(host.removeprefix(".")) or host == "*" if self._patterns else is_host(host)


class Networks:
    """IP addresses and networks in CIDR notation, separated by commas."""

    range = "IP addresses or networks like `10.0.0.0/8`"
    is_secret = False

    def parse(self, text: str) -> list[IPv4Network | IPv6Network]:
        """Return the networks; a single address is a network of size one."""
        try:
            return [ip_network(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError as error:
            raise ValueError(f"must be IP addresses or networks separated by commas ({error})") from None


class WebUrl:
    """Address of an HTTP server; a path may follow the host."""

    range = "an http:// or https:// URL"
    is_secret = False

    def parse(self, text: str) -> str:
        """See Kind."""
        parts = _split(text, "must be http(s)://host[:port]/path")
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not is_host(_host(parts)):
            raise ValueError("must be http(s)://host[:port]/path without credentials")
        if parts.query or parts.fragment or re.search(r"\s", text):
            raise ValueError("must be http(s)://host[:port]/path without ? and #")
        return text


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _split(text: str, words: str) -> SplitResult:
    """Split the URL. Raises ValueError with this message if it is invalid, including its port."""
    try:
        parts = urlsplit(text)
        is_port = parts.port != 0
    except ValueError:
        raise ValueError(words) from None
    if not is_port or parts.netloc.endswith(":"):
        raise ValueError(words)
    return parts


class CompatibleProviders:
    """`name=URL` pairs, separated by commas."""

    range = "`name=URL` pairs"
    is_secret = False

    def __init__(self, *taken: str) -> None:
        self._taken = taken

    def parse(self, text: str) -> dict[str, str]:
        """Base URL by name."""
        pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
        names = [name.strip() for name, _, _ in pairs]
        for name in names:
            if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) or name in self._taken:
                raise ValueError(
                    f"must be name=URL pairs; {name!r} is taken or not 1 to 32 lowercase letters, digits, _ or -"
                )
            if names.count(name) > 1:
                raise ValueError(f"must be name=URL pairs; {name!r} appears twice")
        return {name: _url_of(name, url.strip()) for name, (_, _, url) in zip(names, pairs, strict=True)}


def _url_of(name: str, url: str) -> str:
    try:
        return WebUrl().parse(url)
    except ValueError as error:
        raise ValueError(f"must be name=URL pairs; the URL of {name!r} {error}") from None


class DatabaseUrl:
    """SQLite, or PostgreSQL as libpq reads it."""

    range = "a `sqlite://` or `postgres://` URL"
    is_secret = False

    def parse(self, text: str) -> str:
        """See Kind."""
        words = "must be sqlite:///path or postgres://user:password@host:port/name"
        if text.partition("://")[0] in POSTGRES:
            postgres_options(text)
            return text
        parts = _split(text, words)
        if parts.scheme != "sqlite":
            raise ValueError(words)
        if not parts.path.strip("/") or ":memory:" in text:
            raise ValueError("must name a file: sqlite:///path")
        if parts.netloc:
            raise ValueError("must have three slashes before a relative path, four before an absolute one")
        if parts.query or parts.fragment:
            raise ValueError("must have no options after the path")
        return text


REDIS_OPTIONS = frozenset(
    [
        "client_name",
        "db",
        "health_check_interval",
        "host",
        "lib_name",
        "lib_version",
        "max_connections",
        "password",
        "port",
        "protocol",
        "retry_on_timeout",
        "sentinel_password",
        "sentinel_username",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_read_size",
        "socket_timeout",
        "ssl_ca_certs",
        "ssl_ca_data",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "ssl_exclude_verify_flags",
        "ssl_include_verify_flags",
        "ssl_keyfile",
        "ssl_min_version",
        "ssl_password",
        "timeout",
        "username",
    ]
)
"""The allowed options of a Redis URL. redis-py has others that text can't express or that our code relies on."""


class RedisUrl:
    """A Redis URL as redis-py reads it, or the URL of Sentinels."""

    range = "a `redis://`, `rediss://`, `unix://` or `redis+sentinel://` URL"
    is_secret = False

    def parse(self, text: str) -> str:
        """See Kind."""
        words = "must be redis://host:port/number, rediss://... (TLS), unix:///path or redis+sentinel://..."
        if wrong := parse_qs(text.partition("?")[2], keep_blank_values=True).keys() - REDIS_OPTIONS:
            raise ValueError(f"must not set the option {min(wrong)}")
        if found := sentinels_of(text):
            _check_sentinels(found)
            return text
        parts = _split(text, words)
        if parts.scheme not in REDIS:
            raise ValueError(f"{words}; Redis Cluster is not supported" if "cluster" in parts.scheme else words)
        if parts.scheme == "unix" and (parts.hostname or not parts.path.strip("/")):
            raise ValueError("must name the socket after three slashes: unix:///path")
        if parts.scheme != "unix" and not (parts.hostname and re.fullmatch(r"(/[0-9]{0,6})?", parts.path, re.ASCII)):
            raise ValueError(words)
        _check_options(text, parts)
        return text


def _check_options(url: str, parts: SplitResult) -> None:
    """An option that redis-py does not support would break every connection."""
    from redis import ConnectionPool

    try:
        pool = ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError):
        names = ", ".join(sorted(parse_qs(parts.query))) or "it"
        raise ValueError(f"must have only valid redis-py options after the ? ({names})") from None


def _check_sentinels(found: Sentinels) -> None:
    """The same for Sentinel URLs."""
    from redis import Redis

    if wrong := [host for host, _ in found.addresses if not is_host(f"[{host}]" if ":" in host else host)]:
        raise ValueError(f"must name the hosts of the Sentinels; {wrong[0]!r} is not a host")
    for options in (found.server, found.sentinel):
        try:
            pool = Redis(**options).connection_pool
            pool.connection_class(**pool.connection_kwargs)
        except (TypeError, ValueError) as error:
            raise ValueError(f"must have only valid redis-py options after the ? ({error})") from None


class Mailbox:
    """An email address, with or without a name: `Ada <ada@example.com>`."""

    range = "an email address"
    is_secret = False

    def parse(self, text: str) -> str:
        """See Kind."""
        match = re.fullmatch(r"[^<>@]*<([^\s<>@]+)@([^\s<>@]+)>|([^\s<>@]+)@([^\s<>@]+)", text)
        if not text.isprintable() or match is None or not is_host(match[2] or match[4]):
            raise ValueError("must be an email address, such as aiinfra@example.com")
        return text
