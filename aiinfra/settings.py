"""Every setting of the project. What an operator may change comes from the environment; docs/settings.md lists it."""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from aiinfra.env import envbool, envfloat, envint, envsecret, envstr, load_dotenv

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")

DATA_DIR = Path(envstr("AIINFRA_DATA_DIR", str(BASE_DIR / "var"))).resolve()
PORT = envint("PORT", 8000)

# Security

SECRET_KEY = envsecret("SECRET_KEY", DATA_DIR)
API_KEY_PEPPER = envsecret("API_KEY_PEPPER", DATA_DIR)
DEBUG = envbool("DEBUG", False)
ALLOWED_HOSTS = envstr("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
HTTPS = envbool("AIINFRA_HTTPS", False)

CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS] if HTTPS else []
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if envbool("AIINFRA_BEHIND_PROXY", False) else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
CSRF_COOKIE_HTTPONLY = False
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# Application

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_rq",
    "heroicons",
    "aiinfra.tenants",
    "aiinfra.providers",
    "aiinfra.notifications",
    "aiinfra.gateway",
    "aiinfra.monitoring",
    "aiinfra.stack",
    "cost_app",
    "cache_app",
    "queue_app",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "aiinfra.middleware.request_id",
    "aiinfra.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "aiinfra.tenants.middleware.session_principal",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
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
                "aiinfra.context.base_template",
            ],
            "builtins": [
                "heroicons.templatetags.heroicons",
                "aiinfra.templatetags.assets",
                "aiinfra.templatetags.formats",
            ],
        },
    },
]

AUTH_USER_MODEL = "tenants.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}

# Database

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": dj_database_url.parse(envstr("DATABASE_URL", f"sqlite:///{DATA_DIR / 'aiinfra.sqlite3'}"))}
match DATABASES["default"]["ENGINE"]:
    case "django.db.backends.sqlite3":
        DATABASES["default"]["CONN_MAX_AGE"] = None
        DATABASES["default"]["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # Every thread has a connection, so its cache is kept small; the operating system caches the file as well.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-256;",
        }
    case "django.db.backends.postgresql":
        DATABASES["default"]["OPTIONS"] = {
            "pool": {"min_size": 1, "max_size": envint("DATABASE_POOL_SIZE", 8), "timeout": 10},
        }
    case engine:
        raise ImproperlyConfigured(f"DATABASE_URL must be sqlite:// or postgres://, not {engine}")

# Redis and RQ

REDIS_URL = envstr("REDIS_URL", f"redis://127.0.0.1:{PORT + 1}/0")
# Half a second: a request must not hang because Redis does. The database is the truth, the reconciler repairs the rest.
REDIS_TIMEOUT_S = 0.5
REDIS_MAX_CONNECTIONS = 200

RQ_TICKET_QUEUE = "llm"
RQ_QUEUES = {
    RQ_TICKET_QUEUE: {
        "URL": REDIS_URL,
        "SERIALIZER": "rq.serializers.JSONSerializer",
        "DEFAULT_TIMEOUT": -1,
    }
}

# Queue

# 50 calls at once. Python runs one thread of a process at a time, so more processes than cores only cost memory.
WORKER_PROCESSES = envint("WORKER_PROCESSES", min(5, os.cpu_count() or 1))
WORKER_THREADS = envint("WORKER_THREADS", 50 // WORKER_PROCESSES)
QUEUE_LEASE_S = envfloat("QUEUE_LEASE_S", 15)
QUEUE_RETENTION_DAYS = envint("QUEUE_RETENTION_DAYS", 30)
QUEUE_CONTENT_RETENTION_DAYS = envint("QUEUE_CONTENT_RETENTION_DAYS", 7)
# Seconds of waiting that each priority is ahead by; the difference of two is how long the lower one can be overtaken.
QUEUE_HEAD_START_S = {
    "low": envfloat("QUEUE_HEAD_START_LOW_S", 0),
    "normal": envfloat("QUEUE_HEAD_START_NORMAL_S", 30),
    "high": envfloat("QUEUE_HEAD_START_HIGH_S", 120),
    "critical": envfloat("QUEUE_HEAD_START_CRITICAL_S", 300),
}
# Seconds of score that an organization loses per request in flight, so that one with many running lets others go first.
QUEUE_IN_FLIGHT_PENALTY_S = envfloat("QUEUE_IN_FLIGHT_PENALTY_S", 10)
RETRY_BASE_S = envfloat("RETRY_BASE_S", 1)
RETRY_MAX_S = envfloat("RETRY_MAX_S", 30)
WAITING_CLIENTS_MAX = envint("WAITING_CLIENTS_MAX", 12)

# Web server: gunicorn gthread; the docs explain the figures.

WEB_PROCESSES = envint("WEB_PROCESSES", 2)
WEB_THREADS = envint("WEB_THREADS", 24)

# Providers

BREAKER_FAILURES = envint("BREAKER_FAILURES", 5)
BREAKER_OPEN_S = envfloat("BREAKER_OPEN_S", 60)
PROVIDER_API_KEYS = {name: envstr(f"{name.upper()}_API_KEY") for name in ("openai", "deepseek", "anthropic")}
PROVIDER_BASE_URLS = {name: envstr(f"{name.upper()}_BASE_URL") for name in PROVIDER_API_KEYS}
# name=base_url,name2=...: further servers that speak OpenAI's dialect; the key of each is in <NAME>_API_KEY.
COMPATIBLE_PROVIDERS = dict(
    pair.strip().partition("=")[::2] for pair in envstr("AIINFRA_COMPATIBLE_PROVIDERS").split(",") if pair.strip()
)
# Stands in for all three providers where none of their keys is set.
SANDBOX_PORT = envint("SANDBOX_PORT", PORT + 2)
SANDBOX_URL = envstr("SANDBOX_URL", f"http://127.0.0.1:{SANDBOX_PORT}")

# Semantic cache

# minilm (local) or openai (text-embedding-3-small through the provider `openai`, on the organization's account).
CACHE_EMBEDDER = envstr("CACHE_EMBEDDER", "minilm")
# An ONNX file of all-MiniLM-L6-v2 in place of the packaged one; its hash is then the operator's business.
EMBEDDER_MODEL_PATH = envstr("EMBEDDER_MODEL_PATH")
# matrix (numpy, in each process) or vector_set (Redis 8 and later).
CACHE_INDEX = envstr("CACHE_INDEX", "matrix")
# For the matrices of one process; the least recently used partition leaves first.
CACHE_INDEX_MB = envint("CACHE_INDEX_MB", 200)
# numpy reads it when it is loaded. Requests come in many threads: a pool for each product of matrices makes them wait
# for each other (measured: 41 ms in place of 0.7 on two busy cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Where people reach the product: links in messages lead there.
AIINFRA_PUBLIC_URL = envstr("AIINFRA_PUBLIC_URL", f"http://127.0.0.1:{PORT}/")
# Webhooks may go to these hosts although their addresses are private, and without TLS.
NOTIFICATION_TRUSTED_HOSTS = frozenset(filter(None, envstr("NOTIFICATION_TRUSTED_HOSTS").lower().split(",")))

# E-mail: without a host nothing is sent, and invitations are a link to pass on.

EMAIL_HOST = envstr("EMAIL_HOST")
EMAIL_PORT = envint("EMAIL_PORT", 587)
EMAIL_HOST_USER = envstr("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = envstr("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = envbool("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = envstr("DEFAULT_FROM_EMAIL", "aiinfra@localhost")

# Logging

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "aiinfra.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": envstr("LOG_LEVEL", "INFO")},
    "loggers": {"rq": {"level": "WARNING"}, "rq.worker": {"level": "WARNING"}, "httpx2": {"level": "WARNING"}},
}
