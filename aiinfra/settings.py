"""Every setting of the project. What an operator may change is read from `aiinfra.configuration.table`."""

import os
from pathlib import Path

from aiinfra.configuration import databases
from aiinfra.configuration.reading import read_or_exit, secret_or_exit, stored_secret_or_exit
from aiinfra.configuration.sentinels import rq_address
from aiinfra.configuration.table import (
    batches,
    cache,
    exports,
    limits,
    messages,
    places,
    providers,
    queue,
    security,
    tracing,
    web,
)

# Databases, logs and secrets are for this user alone, whichever program writes them.
os.umask(0o077)

BASE_DIR = Path(__file__).resolve().parent.parent
values = read_or_exit(BASE_DIR / ".env")

DATA_DIR = values[places.AIINFRA_DATA_DIR]
PORT = values[places.PORT]
BIND = values[places.BIND]

# Security

SECRET_KEY = secret_or_exit(values, security.SECRET_KEY)
SECRET_KEY_FALLBACKS = values[security.SECRET_KEY_FALLBACKS]
API_KEY_PEPPER = secret_or_exit(values, security.API_KEY_PEPPER)
API_KEY_PEPPER_FALLBACKS = values[security.API_KEY_PEPPER_FALLBACKS]
DEBUG = values[security.DEBUG]
ALLOWED_HOSTS = values[security.ALLOWED_HOSTS]
HTTPS = values[security.AIINFRA_HTTPS]

CSRF_TRUSTED_ORIGINS = [f"https://{'*' * host.startswith('.')}{host}" for host in ALLOWED_HOSTS] if HTTPS else []
SECURE_SSL_REDIRECT = HTTPS
# Prometheus and load balancers ask each host on its private address.
SECURE_REDIRECT_EXEMPT = [r"^(metrics|healthz|readyz)$"]
BEHIND_PROXY = values[security.AIINFRA_BEHIND_PROXY]
TRUSTED_PROXIES = values[security.AIINFRA_TRUSTED_PROXIES]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_ENGINE = "aiinfra.tenants.sessions"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
CSRF_COOKIE_HTTPONLY = False
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# Application

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # the URLs load its pages, which only the web server needs
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "django_rq",
    "heroicons",
    "aiinfra.tenants",
    "aiinfra.tenants.security_log",
    "aiinfra.tenants.privacy",
    "aiinfra.tenants.sso",
    "aiinfra.providers",
    "aiinfra.notifications",
    "aiinfra.batches",
    "aiinfra.gateway",
    "aiinfra.monitoring",
    "aiinfra.erasure",
    "aiinfra.stack",
    "aiinfra.demo",
    "cost_app",
    "cache_app",
    "queue_app",
]

MIDDLEWARE = [
    "aiinfra.middleware.trusted_proxies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "aiinfra.middleware.CompressPages",
    "aiinfra.middleware.request_id",
    "aiinfra.middleware.browser_policies",
    "aiinfra.monitoring.health.probes",
    "aiinfra.metrics.responses.counted",
    "aiinfra.tracing.middleware.traced",
    "aiinfra.key_calls.bypass_session_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "aiinfra.tenants.login.sessions.check_session",
    "aiinfra.middleware.bounded_body",
    "aiinfra.middleware.private_responses",
    "allauth.account.middleware.AccountMiddleware",
    "aiinfra.tenants.login.middleware.TooManyAttempts",
    "aiinfra.tenants.expired_sessions.LoginRequired",
    "aiinfra.tenants.middleware.session_principal",
    "aiinfra.tenants.middleware.WorkerPages",
    "aiinfra.tenants.security_log.answers.record_answers",
    "aiinfra.page_limits.limited_pages",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "aiinfra.tenants.stale_tabs.StaleTabs",
    "aiinfra.tenants.login.staff.RequireSecondFactor",
    "aiinfra.idempotent_forms.IdempotentForms",
    "aiinfra.middleware.head_of_pages",
]

ROOT_URLCONF = "aiinfra.urls"
WSGI_APPLICATION = "aiinfra.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "aiinfra.context_processors.base_template",
                "cost_app.context_processors.alert_count",
            ],
            "builtins": [
                "heroicons.templatetags.heroicons",
                "aiinfra.templatetags.assets",
                "aiinfra.templatetags.formats",
                "aiinfra.templatetags.once",
                "aiinfra.templatetags.people",
            ],
        },
    },
]

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["aiinfra.tenants.login.backends.PersonBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Login: django-allauth, with the pages of `aiinfra.tenants.login`.

SESSION_IDLE_HOURS = values[security.SESSION_IDLE_HOURS]
SESSION_MAX_HOURS = values[security.SESSION_MAX_HOURS]
SESSION_COOKIE_AGE = SESSION_MAX_HOURS * 3600
STAFF_SECOND_FACTOR = values[security.STAFF_SECOND_FACTOR]
PASSWORD_RESET_TIMEOUT = 3600
# Identity providers may have private addresses and no TLS only on these hosts.
SSO_TRUSTED_HOSTS = frozenset([*values[security.SSO_TRUSTED_HOSTS]])

ACCOUNT_ADAPTER = "aiinfra.tenants.login.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"reset_password": "aiinfra.tenants.login.forms.ForgottenPasswordForm"}
MFA_ADAPTER = "aiinfra.tenants.login.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "aiinfra"
MFA_TOTP_TOLERANCE = 1
CACHES = {"default": {"BACKEND": "aiinfra.shared_cache.SharedCache"}}

LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = "aiinfra.admin_formats"
USE_TZ = True
TIME_ZONE = "UTC"

# Django would make copied and uploaded files readable for all, whatever the umask.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}

# Database

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_database_url = values[places.DATABASE_URL]
DATABASES = {
    "default": databases.sqlite_settings(_database_url)
    if _database_url.startswith("sqlite:")
    else databases.postgres_settings(
        _database_url,
        pool_size=values[places.DATABASE_POOL_SIZE],
        statement_timeout_s=values[places.DATABASE_STATEMENT_TIMEOUT_S],
        by_transaction=values[places.DATABASE_TRANSACTION_POOLING],
        row_security=values[places.DATABASE_ROW_SECURITY],
    )
}

# Redis and RQ

REDIS_IS_BUNDLED = places.uses_bundled_redis(values)
# Whoever can write to Redis can reorder or drop work, so other users of this machine need a password.
REDIS_PASSWORD = stored_secret_or_exit(values, "REDIS_PASSWORD") if REDIS_IS_BUNDLED else ""
REDIS_URL = places.bundled_redis_url(values, REDIS_PASSWORD) if REDIS_IS_BUNDLED else values[places.REDIS_URL]
# Half a second: a request must not hang because Redis does. The database is the truth, the reconciler repairs the rest.
REDIS_TIMEOUT_S = 0.5
REDIS_MAX_CONNECTIONS = values[places.REDIS_MAX_CONNECTIONS]

RQ_TICKET_QUEUE = "llm"
RQ_QUEUES = {
    RQ_TICKET_QUEUE: {
        **rq_address(REDIS_URL),
        "SERIALIZER": "rq.serializers.JSONSerializer",
        "DEFAULT_TIMEOUT": -1,
    }
}

# Queue

WORKER_PROCESSES = values[queue.WORKER_PROCESSES]
WORKER_THREADS = values[queue.WORKER_THREADS]
WORKER_NICE = values[queue.WORKER_NICE]
QUEUE_LEASE_S = values[queue.QUEUE_LEASE_S]
QUEUE_RETENTION_DAYS = values[queue.QUEUE_RETENTION_DAYS]
QUEUE_CONTENT_RETENTION_DAYS = values[queue.QUEUE_CONTENT_RETENTION_DAYS]
# Head start of each priority in seconds of waiting; the difference of two is how long the lower one can be overtaken.
QUEUE_HEAD_START_S = {
    "low": values[queue.QUEUE_HEAD_START_LOW_S],
    "normal": values[queue.QUEUE_HEAD_START_NORMAL_S],
    "high": values[queue.QUEUE_HEAD_START_HIGH_S],
    "critical": values[queue.QUEUE_HEAD_START_CRITICAL_S],
}
# Seconds of score that an organization loses per request in progress, so that others go first if many are running.
QUEUE_IN_FLIGHT_PENALTY_S = values[queue.QUEUE_IN_FLIGHT_PENALTY_S]
RETRY_BASE_S = values[providers.RETRY_BASE_S]
RETRY_MAX_S = values[providers.RETRY_MAX_S]
WAITING_CLIENTS_MAX = values[web.WAITING_CLIENTS_MAX]
# Of a call under /v1; images and long conversations exceed the 1 MiB of other requests.
CALL_MIB_MAX = values[web.CALL_MIB_MAX]
STREAM_DRAIN_S = values[web.STREAM_DRAIN_S]

# Web server: the docs explain the figures.

WEB_PROCESSES = values[web.WEB_PROCESSES]
WEB_THREADS = values[web.WEB_THREADS]
WEB_LAME_DUCK_S = values[web.WEB_LAME_DUCK_S]
WEB_DRAIN_S = values[web.WEB_DRAIN_S]
EVENT_CLIENTS_MAX = values[web.EVENT_CLIENTS_MAX]
CONNECTIONS_PER_ADDRESS_MAX = values[web.CONNECTIONS_PER_ADDRESS_MAX]

# Files and batches

FILE_MIB_MAX = values[batches.FILE_MIB_MAX]
FILES_PER_ORGANIZATION = values[batches.FILES_PER_ORGANIZATION]
FILES_MIB_PER_ORGANIZATION = values[batches.FILES_MIB_PER_ORGANIZATION]
BATCHES_PER_ORGANIZATION = values[batches.BATCHES_PER_ORGANIZATION]
BATCH_LINES_MAX = values[batches.BATCH_LINES_MAX]

# Rate limits

REQUESTS_PER_MINUTE_KEY = values[limits.REQUESTS_PER_MINUTE_KEY]
REQUESTS_PER_MINUTE_ORGANIZATION = values[limits.REQUESTS_PER_MINUTE_ORGANIZATION]
REQUESTS_PER_MINUTE_ADDRESS = values[limits.REQUESTS_PER_MINUTE_ADDRESS]
UNAUTHENTICATED_PER_MINUTE = values[limits.UNAUTHENTICATED_PER_MINUTE]
PAGES_PER_MINUTE_PERSON = values[limits.PAGES_PER_MINUTE_PERSON]
PAGES_PER_MINUTE_ADDRESS = values[limits.PAGES_PER_MINUTE_ADDRESS]
CONCURRENT_REQUESTS_KEY = values[limits.CONCURRENT_REQUESTS_KEY]
CONCURRENT_REQUESTS_ORGANIZATION = values[limits.CONCURRENT_REQUESTS_ORGANIZATION]
CONCURRENT_REQUESTS_ADDRESS = values[limits.CONCURRENT_REQUESTS_ADDRESS]

# Providers

PROVIDER_ANSWER_MAX_MIB = values[providers.PROVIDER_ANSWER_MAX_MIB]
PROVIDER_STREAM_IDLE_S = values[providers.PROVIDER_STREAM_IDLE_S]
BREAKER_FAILURES = values[providers.BREAKER_FAILURES]
BREAKER_OPEN_S = values[providers.BREAKER_OPEN_S]
PROVIDER_API_KEYS = {name: values[setting] for name, setting in providers.KEYS.items()}
PROVIDER_BASE_URLS = {name: values[setting] for name, setting in providers.BASE_URLS.items()}
# Additional OpenAI-compatible servers: base URL by name. The key of each is in <NAME>_API_KEY.
COMPATIBLE_PROVIDERS = values[providers.AIINFRA_COMPATIBLE_PROVIDERS]
COMPATIBLE_API_KEYS = {name: values[setting] for name, setting in providers.compatible_keys(values).items()}
# Replaces all three providers if none of their keys is set.
SANDBOX_PORT = values[providers.SANDBOX_PORT]
SANDBOX_URL = values[providers.SANDBOX_URL]

# Semantic cache

# minilm (local) or openai (text-embedding-3-small through the provider `openai`, on the organization's account).
CACHE_EMBEDDER = values[cache.CACHE_EMBEDDER]
# An ONNX file of all-MiniLM-L6-v2 that replaces the packaged one; its hash is not checked.
EMBEDDER_MODEL_PATH = values[cache.EMBEDDER_MODEL_PATH]
# matrix (numpy, in each process) or vector_set (Redis 8 and later).
CACHE_INDEX = values[cache.CACHE_INDEX]
# For the matrices of one process; the least recently used partition is evicted first.
CACHE_INDEX_MB = values[cache.CACHE_INDEX_MB]
# numpy reads this when it is loaded. Requests run in many threads: with a pool for each matrix product they would wait
# for each other (measured: 41 ms instead of 0.7 ms on two busy cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Public address of the product; links in messages start with it.
AIINFRA_PUBLIC_URL = values[messages.AIINFRA_PUBLIC_URL]
# Webhooks may reach these hosts on private addresses and without TLS.
NOTIFICATION_TRUSTED_HOSTS = frozenset([*values[messages.NOTIFICATION_TRUSTED_HOSTS]])

# Scheduled exports

EXPORT_DIRECTORY = values[exports.EXPORT_DIRECTORY] or None
EXPORT_EVERY_HOURS = values[exports.EXPORT_EVERY_HOURS]

# Email: without a host nothing is sent, and invitation links must be shared by hand.

EMAIL_HOST = values[messages.EMAIL_HOST]
EMAIL_PORT = values[messages.EMAIL_PORT]
EMAIL_HOST_USER = values[messages.EMAIL_HOST_USER]
EMAIL_HOST_PASSWORD = values[messages.EMAIL_HOST_PASSWORD]
EMAIL_USE_TLS = values[messages.EMAIL_USE_TLS]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = values[messages.DEFAULT_FROM_EMAIL]

# Metrics

METRICS_TOKEN = values[security.METRICS_TOKEN]

# Traces: OpenTelemetry's SDK reads further variables itself, such as the sampler.

TRACING = tracing.is_on(values)
TRACES_ENDPOINT = tracing.endpoint(values)
TRACES_TIMEOUT_S = values[tracing.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT]
TRACES_SERVICE = values[tracing.OTEL_SERVICE_NAME]
TRACES_PAUSE_MS = values[tracing.OTEL_BSP_SCHEDULE_DELAY]
TRACES_KEPT_MAX = values[tracing.OTEL_BSP_MAX_QUEUE_SIZE]
TRACES_SENT_MAX = values[tracing.OTEL_BSP_MAX_EXPORT_BATCH_SIZE]
ACCEPT_TRACEPARENT = "tracecontext" in values[tracing.OTEL_PROPAGATORS]
TRACED_PROVIDERS = frozenset([*values[tracing.TRACED_PROVIDERS]])

# Logging

SECURITY_LOG_FILE = values[security.SECURITY_LOG_FILE]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "aiinfra.logs.JsonFormatter"}, "bare": {"format": "%(message)s"}},
    "filters": {"refused": {"()": "aiinfra.logs.FewRefused"}, "repeats": {"()": "aiinfra.logs.FewRepeats"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["refused", "repeats"]}},
    "root": {"handlers": ["stderr"], "level": values[web.LOG_LEVEL]},
    "loggers": {
        "rq": {"level": "WARNING"},
        "rq.worker": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "waitress": {"level": "WARNING"},
        "waitress.queue": {"level": "ERROR"},
    },
}
if SECURITY_LOG_FILE:
    LOGGING["handlers"]["security_log"] = {  # type: ignore[index]
        "class": "logging.handlers.WatchedFileHandler",
        "filename": SECURITY_LOG_FILE,
        "formatter": "bare",
        "delay": True,
    }
    LOGGING["loggers"]["aiinfra.security_log"] = {  # type: ignore[index]
        "handlers": ["security_log"],
        "level": "INFO",
        "propagate": False,
    }
