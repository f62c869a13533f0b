"""URLs of alerts."""

from django.urls import path

from cost_app.alerts import views

urlpatterns = [
    path("", views.alerts, name="alerts"),
    path("acknowledge/", views.acknowledge_many, name="alerts_acknowledge"),
    path("<int:alert_id>/", views.alert, name="alert"),
    path("<int:alert_id>/acknowledge/", views.acknowledge, name="alert_acknowledge"),
    path("<int:alert_id>/snooze/", views.snooze, name="alert_snooze"),
    path("<int:alert_id>/resolve/", views.resolve, name="alert_resolve"),
]
