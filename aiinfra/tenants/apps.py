from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class TenantsConfig(AppConfig):
    name = "aiinfra.tenants"
    label = "tenants"
    verbose_name = "Organizations"

    def ready(self) -> None:
        """Track every session, whichever code starts it."""
        from aiinfra.tenants.login import factor_events
        from aiinfra.tenants.login.sessions import begin

        factor_events.connect()
        user_logged_in.connect(begin, dispatch_uid="aiinfra.tenants.login.sessions")
