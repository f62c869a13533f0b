"""URLs for health, performance, providers and alert rules."""

from django.urls import path

from aiinfra.monitoring import views
from aiinfra.monitoring.health import health_endpoint, healthz, readyz
from aiinfra.monitoring.metrics.endpoint import metrics_endpoint
from aiinfra.monitoring.performance import performance_endpoint
from aiinfra.monitoring.providers import views as providers

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics_endpoint, name="metrics"),
    path("api/ai/health", health_endpoint, name="api_health"),
    path("alerts/rules/", views.rules, name="alert_rules"),
    path("installation/settings/", views.installation_rules, name="installation_settings"),
    path("api/ai/performance", performance_endpoint, name="api_performance"),
    path("providers/", providers.provider_list, name="providers"),
    path("providers/latency/", providers.latency_figure, name="provider_latency"),
    path("providers/latency/table/", providers.latency_table, name="provider_latency_table"),
]
