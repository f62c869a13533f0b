"""URLs of channels and deliveries."""

from django.urls import path

from aiinfra.notifications import views

urlpatterns = [
    path("", views.notifications, name="notifications"),
    path("add/", views.add, name="notification_add"),
    path("<int:channel_id>/switch/", views.switch, name="notification_switch"),
    path("<int:channel_id>/remove/", views.remove, name="notification_remove"),
    path("<int:channel_id>/test/", views.test, name="notification_test"),
    path("deliveries/<int:delivery_id>/again/", views.try_again, name="notification_again"),
]
