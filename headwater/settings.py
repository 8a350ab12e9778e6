"""Django's settings of one process: the services it hosts, each with a database alias and role of its own.

``HEADWATER_SERVICES`` (comma-separated; all by default) says which services are hosted here.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headwater import calling, searching
from headwater.config import SERVICES, Config, current
from headwater.lake import lake_of_readers

CONFIG: Config = current()

HEADWATER_SERVICES: tuple[str, ...] = tuple(
    name for name in os.environ.get("HEADWATER_SERVICES", ",".join(SERVICES)).split(",") if name
)
HEADWATER_SERVICE_URLS = CONFIG.service_addresses()
HEADWATER_CALLS = calling.limits()
HEADWATER_JWKS = Path(CONFIG.home) / "keys" / "jwks.json"
HEADWATER_WAREHOUSE = CONFIG.warehouse_url("wh_api")
HEADWATER_SEARCH = searching.place(CONFIG)
HEADWATER_LAKE = partial(lake_of_readers, CONFIG)
"""Makes the lake as timelines read it. A function: only who asks it loads DuckDB, 25 MB."""
HEADWATER_OPERATIONS = "headwater.operations.operations"
"""What the Stream page asks about processes, queues and parked work (``web.stream.port``)."""
HEADWATER_SOURCES = {service: CONFIG.source_of(service) for service in SERVICES}
"""Service → name of the WAL it writes, as positions in answers carry it. ``headwater.database`` keeps it true."""

SECRET_KEY = CONFIG.secret_key
DEBUG = False
# The embedded profile listens on loopback; in front of other profiles stands a gateway that knows its names.
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
ROOT_URLCONF = "headwater.urls"
WSGI_APPLICATION = "headwater.wsgi.application"
APPEND_SLASH = False
MIDDLEWARE: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A bulk command of 5,000 orders with their lines is some 8 MB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
# W035: services may name their tables alike; each has a schema of its own.
SILENCED_SYSTEM_CHECKS = ["models.W035", "models.W042"]

INSTALLED_APPS = [
    "rest_framework",
    "drf_spectacular",
    "transactional.kernel",
    *(f"transactional.{service}" for service in HEADWATER_SERVICES),
    "web",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"builtins": ["web.templatetags.ui"]},
    }
]

# Where people reach the application, such as https://crm.example.com: its cookies then travel by TLS alone.
PUBLIC_URL = os.environ.get("HEADWATER_PUBLIC_URL", "").rstrip("/")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://") or bool(
    os.environ.get("HEADWATER_GATEWAY_CERTIFICATE")
)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
CSRF_COOKIE_NAME = "hw_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "web.pages.forged"


RUNTIME_LIMITS = "-c lock_timeout=15s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"


def database(url: str, *, persistent: bool = True) -> dict[str, object]:
    """Django's form of a ``postgresql://`` URL. The role's own search_path leads to its schema."""
    parts = urlsplit(url)
    return {
        "ENGINE": "headwater.database",
        "HOST": parts.hostname,
        "PORT": parts.port or 5432,
        "NAME": parts.path.strip("/"),
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "CONN_MAX_AGE": None if persistent else 0,
        "CONN_HEALTH_CHECKS": persistent,
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": f"headwater {parts.username}",
            # Nobody waits for a row or a hung process for ever: the caller gets a 503 and tries again.
            **({"options": RUNTIME_LIMITS} if persistent else {}),
        },
    }


# No default database: a query that nobody routed is a mistake and must not find one.
DATABASES: dict[str, dict[str, object]] = {"default": {}}
for _service in HEADWATER_SERVICES:
    DATABASES[_service] = database(CONFIG.service_url(_service))
    DATABASES[f"{_service}_owner"] = database(
        CONFIG.service_url(_service, role=f"hw_{_service}_owner"), persistent=False
    )
DATABASE_ROUTERS = ["transactional.kernel.routers.ServiceRouter"]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Headwater",
    "DESCRIPTION": "Commands and resources of the write services.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    # Its hook would give enumerations names of their own, which change with every new one.
    "POSTPROCESSING_HOOKS": [],
    "SECURITY": [{"bearer": []}],
    "APPEND_COMPONENTS": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Refusals of 4xx are answers, not incidents.
    "loggers": {"django.request": {"level": "ERROR"}},
}
