"""Where machines ask for our health, and people set when it raises an alert."""

from django.urls import path

from aiinfra.monitoring import views
from aiinfra.monitoring.health import health_endpoint, healthz, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/ai/health", health_endpoint, name="api_health"),
    path("alerts/rules/", views.rules, name="alert_rules"),
    path("installation/settings/", views.installation_rules, name="installation_settings"),
]
