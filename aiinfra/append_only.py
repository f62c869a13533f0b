"""Makes tables append-only: the database itself rejects UPDATE and DELETE.

If one column may be filled in once, the trigger lists all others: a migration that adds a column drops the triggers
first and creates them again afterwards. So does one that makes SQLite rebuild the table.
"""

from collections.abc import Iterator

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SQLITE = """
CREATE TRIGGER {table}_no_{name} BEFORE {event} ON {table} {condition}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'integrity_constraint_violation'; END
$$ LANGUAGE plpgsql
"""
POSTGRESQL = """
CREATE TRIGGER {table}_no_{name} BEFORE {event} ON {table}
FOR EACH ROW {condition} EXECUTE FUNCTION {table}_append_only()
"""
TRIGGERS = ("update", "delete", "second_update")


def create_triggers(editor: BaseDatabaseSchemaEditor, table: str, set_once: str = "", only_where: str = "") -> None:
    """Make the table reject UPDATE and DELETE; the column `set_once` can be set while it is NULL.

    `only_where` is SQL about the `OLD` row: rows for which it is false can be changed.
    """
    template = SQLITE
    if editor.connection.vendor == "postgresql":
        template = POSTGRESQL
        editor.execute(POSTGRESQL_FUNCTION.format(table=table))
    for name, event, condition in _refused(editor, table, set_once, only_where):
        editor.execute(template.format(table=table, name=name, event=event, condition=condition))


def drop_triggers(editor: BaseDatabaseSchemaEditor, table: str) -> None:
    """Allow UPDATE and DELETE again."""
    on_table = f" ON {table}" if editor.connection.vendor == "postgresql" else ""
    for name in TRIGGERS:
        editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{name}{on_table}")


def append_only(table: str, set_once: str = "", only_where: str = "") -> migrations.RunPython:
    """The migration operation that makes a table append-only."""
    return migrations.RunPython(
        lambda _apps, editor: create_triggers(editor, table, set_once, only_where),
        lambda _apps, editor: drop_triggers(editor, table),
    )


def _refused(
    editor: BaseDatabaseSchemaEditor, table: str, set_once: str, only_where: str
) -> Iterator[tuple[str, str, str]]:
    """Name, event and condition of each trigger."""
    condition = f"WHEN ({only_where})" if only_where else ""
    yield "delete", "DELETE", condition
    if not set_once:
        yield "update", "UPDATE", condition
        return
    with editor.connection.cursor() as cursor:
        columns = [column.name for column in editor.connection.introspection.get_table_description(cursor, table)]
    others = ", ".join(f'"{column}"' for column in columns if column != set_once)
    yield "update", f"UPDATE OF {others}", ""
    yield "second_update", f'UPDATE OF "{set_once}"', f'WHEN (OLD."{set_once}" IS NOT NULL)'
