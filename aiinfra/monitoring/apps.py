from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "aiinfra.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"
