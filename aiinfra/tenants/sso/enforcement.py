"""Organizations that require single sign-on."""

from django.db.models import QuerySet

from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.sso.models import IdentityProvider


def enforcing_organizations() -> "QuerySet[IdentityProvider, int]":
    """Their IDs, as a subquery. For code that runs before an organization is selected."""
    with system_scope():
        return IdentityProvider.objects.filter(is_enforced=True).values_list("organization_id", flat=True)
