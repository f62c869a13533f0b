"""PostgreSQL's row-level security: a second layer of tenant isolation, in case a query bypasses the first.

The first layer is `aiinfra.tenants.scope`, in this process. With `DATABASE_ROW_SECURITY`, the server also learns which
scope the running code is in, and a policy on every tenant table hides all other rows. Without a scope, all are hidden.
The owner of the tables is exempt: it runs migrations, backups, and restores.
"""

from django.apps import apps
from django.db import connection, models, transaction

from aiinfra.tenants.models import OwnedModel, TenantModel
from aiinfra.tenants.scope import EVERY_ORGANIZATION, INSTALLATION, VARIABLE

POLICY = "tenant"
# A subquery runs once per statement. Without a scope it is NULL, and the condition is never true. PostgreSQL expects a
# CASE to be true for half of the rows: with an OR of comparisons, it expects few, and prefers sorting to an index.
SCOPE = f"(SELECT NULLIF(current_setting('{VARIABLE}', true), '')::bigint)"
ROW_IS_VISIBLE = (
    f"CASE {SCOPE} WHEN {EVERY_ORGANIZATION} THEN true WHEN {INSTALLATION} THEN organization_id IS NULL "
    f"ELSE organization_id = {SCOPE} END"
)


class UnsuitableRoleError(Exception):
    """Policies would not restrict this role; the message says why."""


def tenant_tables() -> list[str]:
    """Every table whose rows belong to an organization or to the installation."""
    tenant: list[type[models.Model]] = [
        model for model in apps.get_models() if issubclass(model, (TenantModel, OwnedModel))
    ]
    return sorted(model._meta.db_table for model in tenant)


def protect(role: str) -> None:
    """Create the policies, and let the role read and write rows, also those of tables to come. Can be repeated.

    Raises UnsuitableRoleError. Must run as the owner of the tables.
    """
    _check(role)
    # Policies first: a vacuum waits for a table's uncommitted GRANT, and CREATE POLICY would wait for that vacuum.
    create_policies()
    name = connection.ops.quote_name(role)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE")):
            cursor.execute(f"GRANT {rights} ON ALL {kind} IN SCHEMA public TO {name}")
            cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {rights} ON {kind} TO {name}")


def create_policies() -> None:
    """Create what is missing. Locks one table at a time, so that it can't deadlock with running requests."""
    for table in _without_policy():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"CREATE POLICY {POLICY} ON {table} USING ({ROW_IS_VISIBLE})")
            cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def unprotect() -> None:
    """Drop the policies, one table at a time."""
    for table in tenant_tables():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            cursor.execute(f"DROP POLICY IF EXISTS {POLICY} ON {table}")


def is_on() -> bool:
    """Whether the database has policies."""
    return connection.vendor == "postgresql" and len(_without_policy()) < len(tenant_tables())


def restricted_tables() -> set[str]:
    """The tenant tables in which this connection's role sees only what a policy allows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE row_security_active(name)", [tenant_tables()])
        return {name for (name,) in cursor.fetchall()}


def is_set() -> bool:
    """Whether this process sends its scope to PostgreSQL."""
    return bool(connection.settings_dict.get("ROW_SECURITY"))


def problem() -> str:
    """Why setting and policies don't fit together: one without the other shows no rows, or all of them."""
    restricted = restricted_tables()
    if is_set() and (ignored := set(tenant_tables()) - restricted):
        return f"Row-level security does not restrict this role in {len(ignored)} tables"
    return "This role needs DATABASE_ROW_SECURITY=true" if restricted and not is_set() else ""


def _without_policy() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = %s", [POLICY])
        done = {name for (name,) in cursor.fetchall()}
    return [table for table in tenant_tables() if table not in done]


def _check(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", [role])
        found = cursor.fetchone()
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE tablename = ANY(%s) AND tableowner = %s)",
            [tenant_tables(), role],
        )
        (is_owner,) = cursor.fetchone()
    if found is None:
        raise UnsuitableRoleError(f"The role {role} does not exist: CREATE ROLE {role} LOGIN PASSWORD '...'")
    if found[0] or is_owner:
        raise UnsuitableRoleError(f"The role {role} is a superuser, has BYPASSRLS, or owns tables: policies ignore it")
