from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    name = "aiinfra.tenants.privacy"
    label = "privacy"
    verbose_name = "Privacy"
