"""Create API keys of an organization."""

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import system_scope


def make(organization: Organization, role: Role = Role.OPERATOR, **more: object) -> tuple[ApiKey, str]:
    return keys.create_key(organization=organization, name="bot", role=role, actor="command:test", **more)  # type: ignore[arg-type]


def stored(key: ApiKey) -> ApiKey:
    with system_scope():
        return ApiKey.objects.get(pk=key.pk)
