from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "aiinfra.gateway"
    label = "gateway"
    verbose_name = "Gateway"
