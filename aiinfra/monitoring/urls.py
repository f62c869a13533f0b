"""Where machines ask how we are."""

from django.urls import path

from aiinfra.monitoring.health import health_endpoint, healthz, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/ai/health", health_endpoint, name="api_health"),
]
