from django.apps import AppConfig


class CacheConfig(AppConfig):
    name = "cache_app"
    verbose_name = "Semantic cache"
