from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "queue_app"
