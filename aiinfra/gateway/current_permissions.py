"""Re-check a caller's permissions while their stream is open."""

from aiinfra.api import ApiCall
from aiinfra.gateway.waiting_threads import release_connections
from aiinfra.tenants import current_permissions as tenants
from aiinfra.tenants.authorization import Principal


def current_permissions(call: ApiCall) -> Principal | None:
    """See `aiinfra.tenants.current_permissions`."""
    try:
        return tenants.current_permissions(call.http, call.principal)
    finally:
        release_connections()
