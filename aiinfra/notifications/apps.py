from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Sends notifications to people and programs."""

    name = "aiinfra.notifications"
    label = "notifications"
    verbose_name = "Notifications"
