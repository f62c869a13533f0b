from django.apps import AppConfig, apps


class QueueConfig(AppConfig):
    name = "queue_app"
    verbose_name = "Queue"

    def ready(self) -> None:
        """Give the workers' page in Django admin a heading that people read."""
        apps.get_app_config("django_rq").verbose_name = "Workers"
