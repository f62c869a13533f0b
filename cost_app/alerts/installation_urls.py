"""URLs of the installation's alerts."""

from django.urls import path

from cost_app.alerts import views

urlpatterns = [
    path("", views.alerts.installation, name="installation_alerts"),
    path("acknowledge/", views.acknowledge_many.installation, name="installation_alerts_acknowledge"),
    path("<int:alert_id>/", views.alert.installation, name="installation_alert"),
    path("<int:alert_id>/acknowledge/", views.acknowledge.installation, name="installation_alert_acknowledge"),
    path("<int:alert_id>/snooze/", views.snooze.installation, name="installation_alert_snooze"),
    path("<int:alert_id>/resolve/", views.resolve.installation, name="installation_alert_resolve"),
]
