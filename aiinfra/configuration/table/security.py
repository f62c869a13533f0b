"""Secrets, host names, HTTPS."""

from aiinfra.configuration import kinds
from aiinfra.configuration.addresses import Hosts, Networks
from aiinfra.configuration.setting import Setting

SECRET = kinds.Text("text; `doctor` asks for 32 characters", is_secret=True)

SECRET_KEY = Setting(
    "SECRET_KEY",
    SECRET,
    "",
    "Signs sessions and closed months, and encrypts stored secrets. Set it if the product runs on several hosts.",
    "created on first use, in the data directory",
)
SECRET_KEY_FALLBACKS = Setting(
    "SECRET_KEY_FALLBACKS",
    kinds.Secrets(),
    [],
    "Earlier values of `SECRET_KEY`, separated by commas: data signed or encrypted with them stays readable. "
    "See [Secrets](secrets.md).",
    "none",
)
API_KEY_PEPPER = Setting(
    "API_KEY_PEPPER",
    SECRET,
    "",
    "Part of the hash of every API key. Without it, all keys stop working, so back it up.",
    "created on first use, in the data directory",
)
API_KEY_PEPPER_FALLBACKS = Setting(
    "API_KEY_PEPPER_FALLBACKS",
    kinds.Secrets(),
    [],
    "Earlier values of `API_KEY_PEPPER`, separated by commas: keys that were created with them keep working. "
    "See [Secrets](secrets.md).",
    "none",
)
ALLOWED_HOSTS = Setting(
    "ALLOWED_HOSTS",
    Hosts(patterns=True),
    ["localhost", "127.0.0.1", "[::1]"],
    "Host names that the product serves, separated by commas.",
    "`localhost,127.0.0.1,[::1]`",
)
AIINFRA_HTTPS = Setting(
    "AIINFRA_HTTPS",
    kinds.Switch(),
    False,
    "Browsers connect over HTTPS: secure cookies, HSTS, redirects from HTTP.",
)
AIINFRA_BEHIND_PROXY = Setting(
    "AIINFRA_BEHIND_PROXY",
    kinds.Switch(),
    False,
    "Trust `X-Forwarded-Proto` and `X-Forwarded-For`. Set it only behind a proxy that sets both on every request.",
)
AIINFRA_TRUSTED_PROXIES = Setting(
    "AIINFRA_TRUSTED_PROXIES",
    Networks(),
    [],
    "With `AIINFRA_BEHIND_PROXY`: addresses of your proxies. The headers of other clients are ignored, and "
    "`X-Forwarded-For` is read from the right, past these addresses.",
    "every client; the last address in `X-Forwarded-For` counts",
)
SESSION_IDLE_HOURS = Setting(
    "SESSION_IDLE_HOURS", kinds.Whole(1, 720), 12, "Hours after which an unused session is logged out."
)
SESSION_MAX_HOURS = Setting(
    "SESSION_MAX_HOURS",
    kinds.Whole(1, 8760),
    168,
    "Hours after which people must log in again, even in active sessions.",
)
STAFF_SECOND_FACTOR = Setting(
    "STAFF_SECOND_FACTOR",
    kinds.Switch(),
    False,
    "Administrators must add an authenticator app or a passkey before they can do anything else.",
)
SSO_TRUSTED_HOSTS = Setting(
    "SSO_TRUSTED_HOSTS",
    Hosts(),
    [],
    "Hosts, separated by commas, of identity providers on private addresses or without TLS.",
    "none",
)
DEBUG = Setting(
    "DEBUG",
    kinds.Switch(),
    False,
    "Django's error pages, which show settings and source code. Never use it in production.",
)
METRICS_TOKEN = Setting(
    "METRICS_TOKEN",
    kinds.ProviderKey(),
    "",
    "Bearer token for the metrics of all organizations at `/metrics`. At least 32 characters. API keys can read only "
    "the metrics of their own organization.",
)
SECURITY_LOG_FILE = Setting(
    "SECURITY_LOG_FILE",
    kinds.Text("a path"),
    "",
    "File that each event of the security log is appended to, as a line of JSON, for a SIEM. Rotate it with logrotate.",
    "none",
)
