from django.apps import AppConfig, apps


class QueueConfig(AppConfig):
    name = "queue_app"
    verbose_name = "Queue"

    def ready(self) -> None:
        """Give the workers' page in the Django admin a readable heading."""
        apps.get_app_config("django_rq").verbose_name = "Workers"
