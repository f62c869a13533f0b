"""URLs of channels and deliveries."""

from django.urls import path

from aiinfra.notifications import views

urlpatterns = [
    path("", views.notifications.organization, name="notifications"),
    path("add/", views.add.organization, name="notification_add"),
    path("<int:channel_id>/switch/", views.switch.organization, name="notification_switch"),
    path("<int:channel_id>/remove/", views.remove.organization, name="notification_remove"),
    path("<int:channel_id>/test/", views.test.organization, name="notification_test"),
    path("deliveries/<int:delivery_id>/again/", views.try_again.organization, name="notification_again"),
]
