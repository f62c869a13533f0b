from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Telling people and programs what happened."""

    name = "aiinfra.notifications"
    label = "notifications"
    verbose_name = "Notifications"
