from django.apps import AppConfig


class BatchesConfig(AppConfig):
    """Files and batches."""

    name = "aiinfra.batches"
    label = "batches"
    verbose_name = "Batches"
