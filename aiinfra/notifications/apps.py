from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Tells people and programs what happened."""

    name = "aiinfra.notifications"
    label = "notifications"
    verbose_name = "Notifications"
