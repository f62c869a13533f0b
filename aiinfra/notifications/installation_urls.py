"""URLs of the installation's channels and deliveries."""

from django.urls import path

from aiinfra.notifications import installation_views as views

urlpatterns = [
    path("", views.notifications, name="installation_notifications"),
    path("add/", views.add, name="installation_notification_add"),
    path("<int:channel_id>/switch/", views.switch, name="installation_notification_switch"),
    path("<int:channel_id>/remove/", views.remove, name="installation_notification_remove"),
    path("<int:channel_id>/test/", views.test, name="installation_notification_test"),
    path("deliveries/<int:delivery_id>/again/", views.try_again, name="installation_notification_again"),
]
