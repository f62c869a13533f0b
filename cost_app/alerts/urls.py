"""URLs of alerts."""

from django.urls import path

from cost_app.alerts import views

urlpatterns = [
    path("", views.alerts.organization, name="alerts"),
    path("count/", views.alert_count, name="alert_count"),
    path("acknowledge/", views.acknowledge_many.organization, name="alerts_acknowledge"),
    path("<int:alert_id>/", views.alert.organization, name="alert"),
    path("<int:alert_id>/acknowledge/", views.acknowledge.organization, name="alert_acknowledge"),
    path("<int:alert_id>/snooze/", views.snooze.organization, name="alert_snooze"),
    path("<int:alert_id>/resolve/", views.resolve.organization, name="alert_resolve"),
]
