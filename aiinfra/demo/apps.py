from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "aiinfra.demo"
    label = "demo"
    verbose_name = "Demo"
