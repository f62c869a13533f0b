from django.apps import AppConfig


class ErasureConfig(AppConfig):
    name = "aiinfra.erasure"
    label = "erasure"
    verbose_name = "Erasure"
