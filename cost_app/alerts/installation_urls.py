"""URLs of the installation's alerts."""

from django.urls import path

from cost_app.alerts import installation_views as views

urlpatterns = [
    path("", views.alerts, name="installation_alerts"),
    path("acknowledge/", views.acknowledge_many, name="installation_alerts_acknowledge"),
    path("<int:alert_id>/", views.alert, name="installation_alert"),
    path("<int:alert_id>/acknowledge/", views.acknowledge, name="installation_alert_acknowledge"),
    path("<int:alert_id>/snooze/", views.snooze, name="installation_alert_snooze"),
    path("<int:alert_id>/resolve/", views.resolve, name="installation_alert_resolve"),
]
