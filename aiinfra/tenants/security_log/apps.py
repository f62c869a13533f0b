from django.apps import AppConfig


class SecurityLogConfig(AppConfig):
    name = "aiinfra.tenants.security_log"
    label = "security_log"
    verbose_name = "Security log"
