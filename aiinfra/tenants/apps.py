from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "aiinfra.tenants"
    label = "tenants"
    verbose_name = "Organizations"
