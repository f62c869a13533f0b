from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """Calling LLM providers."""

    name = "aiinfra.providers"
    label = "providers"

    def ready(self) -> None:
        """Stop the start where the providers' settings make no sense."""
        from aiinfra.providers.registry import provider_names

        provider_names()
