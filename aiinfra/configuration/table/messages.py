"""Email, and where links in messages lead."""

from aiinfra.configuration import kinds
from aiinfra.configuration.addresses import Host, Hosts, Mailbox, WebUrl
from aiinfra.configuration.setting import Setting
from aiinfra.configuration.table import places

AIINFRA_PUBLIC_URL = Setting(
    "AIINFRA_PUBLIC_URL",
    WebUrl(),
    lambda values: f"http://127.0.0.1:{values[places.PORT]}/",
    "Address of the product for people. Links in messages start with it.",
    "`http://127.0.0.1:PORT/`",
)
NOTIFICATION_TRUSTED_HOSTS = Setting(
    "NOTIFICATION_TRUSTED_HOSTS",
    Hosts(),
    [],
    "Hosts, separated by commas, that webhooks, including those of API keys, can reach on private addresses and "
    "without TLS.",
    "none",
)
EMAIL_HOST = Setting(
    "EMAIL_HOST",
    Host(),
    "",
    "Mail server. If not set, no email is sent, and you pass on invitation links yourself.",
)
EMAIL_PORT = Setting("EMAIL_PORT", kinds.PORT, 587, "Port of the mail server.")
EMAIL_USE_TLS = Setting("EMAIL_USE_TLS", kinds.Switch(), True, "Use STARTTLS.")
EMAIL_HOST_USER = Setting("EMAIL_HOST_USER", kinds.Text(), "", "User name at the mail server.")
EMAIL_HOST_PASSWORD = Setting("EMAIL_HOST_PASSWORD", kinds.Text(is_secret=True), "", "Password at the mail server.")
DEFAULT_FROM_EMAIL = Setting("DEFAULT_FROM_EMAIL", Mailbox(), "aiinfra@localhost", "Sender of emails.")
