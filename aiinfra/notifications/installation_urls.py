"""URLs of the installation's channels and deliveries."""

from django.urls import path

from aiinfra.notifications import views

urlpatterns = [
    path("", views.notifications.installation, name="installation_notifications"),
    path("add/", views.add.installation, name="installation_notification_add"),
    path("<int:channel_id>/switch/", views.switch.installation, name="installation_notification_switch"),
    path("<int:channel_id>/remove/", views.remove.installation, name="installation_notification_remove"),
    path("<int:channel_id>/test/", views.test.installation, name="installation_notification_test"),
    path("deliveries/<int:delivery_id>/again/", views.try_again.installation, name="installation_notification_again"),
]
