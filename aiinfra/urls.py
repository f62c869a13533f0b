"""All URLs of the product; each app adds its own list."""

from django.contrib import admin
from django.urls import include, path

from aiinfra.assets import plotly_js
from aiinfra.erasure.api import privacy_endpoint
from aiinfra.tenants.keys_api import keys_endpoint
from aiinfra.tenants.security_log.api import security_log_endpoint
from aiinfra.tenants.views.session import log_in

admin.autodiscover()

urlpatterns = [
    path("", include("aiinfra.tenants.urls")),
    path("", include("aiinfra.tenants.login.urls")),
    path("", include("aiinfra.tenants.sso.urls")),
    path("settings/notifications/", include("aiinfra.notifications.urls")),
    path("installation/alerts/", include("cost_app.alerts.installation_urls")),
    path("installation/notifications/", include("aiinfra.notifications.installation_urls")),
    path("assets/plotly-<str:release>.min.js", plotly_js, name="plotly_js"),
    path("", include("aiinfra.gateway.urls")),
    path("", include("aiinfra.monitoring.urls")),
    path("api/ai/keys", keys_endpoint, name="api_keys"),
    path("api/ai/privacy", privacy_endpoint, name="api_privacy"),
    path("api/ai/security-log", security_log_endpoint, name="api_security_log"),
    path("settings/privacy/", include("aiinfra.erasure.urls")),
    path("", include("queue_app.urls")),
    path("cache/", include("cache_app.urls")),
    path("", include("cost_app.urls")),
    path("admin/django-rq/", include("django_rq.urls")),
    path("admin/login/", log_in),
    path("admin/", admin.site.urls),
]

handler400 = "aiinfra.error_responses.handle_400"
handler429 = "aiinfra.tenants.login.middleware.limited"
handler404 = "aiinfra.unknown_urls.handle_404"
handler500 = "aiinfra.error_responses.handle_500"
