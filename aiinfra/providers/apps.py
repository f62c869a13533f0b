from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """Calls LLM providers."""

    name = "aiinfra.providers"
    label = "providers"
    verbose_name = "Providers"
