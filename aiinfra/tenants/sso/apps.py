from django.apps import AppConfig


class SingleSignOnConfig(AppConfig):
    name = "aiinfra.tenants.sso"
    label = "sso"
    verbose_name = "Single sign-on"
