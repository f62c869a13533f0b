from django.apps import AppConfig
from django.core.checks import register


class CacheConfig(AppConfig):
    name = "cache_app"
    verbose_name = "Semantic cache"

    def ready(self) -> None:
        """Register the system checks."""
        from cache_app.checks import check_settings

        register(check_settings)
