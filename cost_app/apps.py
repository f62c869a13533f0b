from django.apps import AppConfig


class CostConfig(AppConfig):
    name = "cost_app"
    verbose_name = "Cost"
