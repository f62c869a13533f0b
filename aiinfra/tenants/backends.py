"""Who may have a session."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser

from aiinfra.tenants import demo_rules
from aiinfra.tenants.models import User


class PersonBackend(ModelBackend):
    """Django's accounts; demo accounts only where they are allowed, at login and with every request."""

    def user_can_authenticate(self, user: User | AnonymousUser | None) -> bool:
        """Whether the account may log in and stay logged in."""
        if user is None or not super().user_can_authenticate(user):
            return False
        return not (demo_rules.is_demo_name(user.get_username()) and demo_rules.obstacles())
