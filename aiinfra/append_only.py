"""Tables that accept no UPDATE and no DELETE, enforced by the database itself.

On SQLite, `INSERT OR REPLACE` deletes the row that it replaces without firing the delete trigger, so a third trigger
refuses to insert a key that exists. PostgreSQL has no such statement.

If one column may be set once, the trigger lists all the others. A migration that adds a column, or that makes SQLite
rebuild the table, must drop the triggers first and create them again afterward.
"""

import re
from collections.abc import Callable, Iterator

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

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
REPLACEMENT = """
CREATE TRIGGER IF NOT EXISTS {table}_no_replacement BEFORE INSERT ON {table} WHEN {condition}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
Change = Callable[[BaseDatabaseSchemaEditor], None]
TRIGGERS = ("update", "delete", "second_update")


def create_triggers(
    editor: BaseDatabaseSchemaEditor,
    table: str,
    set_once: str = "",
    only_where: str = "",
    *,
    skips_duplicates: bool = False,
) -> None:
    """Make the table refuse UPDATE and DELETE; the column `set_once` can be set where it is empty.

    `only_where` is an SQL condition on the `OLD` row; rows for which it is false can be changed. With
    `skips_duplicates`, inserts with ON CONFLICT DO NOTHING are allowed, and only the primary key is guarded.
    """
    template = SQLITE
    if editor.connection.vendor == "postgresql":
        template = POSTGRESQL
        editor.execute(POSTGRESQL_FUNCTION.format(table=table))
    for name, event, condition in _refused(editor, table, set_once, only_where):
        editor.execute(template.format(table=table, name=name, event=event, condition=condition))
    refuse_replacement(editor, table, skips_duplicates=skips_duplicates)


def refuse_replacement(editor: BaseDatabaseSchemaEditor, table: str, *, skips_duplicates: bool = False) -> None:
    """Make SQLite refuse to insert an existing key; see `create_triggers`."""
    if editor.connection.vendor == "sqlite":
        same = [f"EXISTS (SELECT 1 FROM {table} AS kept WHERE {each})" for each in _keys(editor, table)]  # noqa: S608 - names of the schema
        condition = f"({same[0] if skips_duplicates else ' OR '.join(same)})"
        editor.execute(REPLACEMENT.format(table=table, condition=condition))


def drop_triggers(editor: BaseDatabaseSchemaEditor, table: str) -> None:
    """Allow UPDATE and DELETE again."""
    on_table = f" ON {table}" if editor.connection.vendor == "postgresql" else ""
    for name in TRIGGERS:
        editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{name}{on_table}")
    allow_replacement(editor, table)


def allow_replacement(editor: BaseDatabaseSchemaEditor, table: str) -> None:
    """Undo `refuse_replacement`."""
    if editor.connection.vendor == "sqlite":
        editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_replacement")


class TriggerChange(Operation):
    """A migration step that changes triggers. Unlike `RunPython`, it doesn't make Django render all models."""

    def __init__(self, create: Change, drop: Change) -> None:
        self._create = create
        self._drop = drop

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change no model."""

    def database_forwards(self, _app_label: str, editor: BaseDatabaseSchemaEditor, *_states: ProjectState) -> None:
        """Create the triggers."""
        self._create(editor)

    def database_backwards(self, _app_label: str, editor: BaseDatabaseSchemaEditor, *_states: ProjectState) -> None:
        """Drop the triggers."""
        self._drop(editor)


def append_only(
    table: str, set_once: str = "", only_where: str = "", *, skips_duplicates: bool = False
) -> TriggerChange:
    """The migration step that makes a table append-only."""
    return TriggerChange(
        lambda editor: create_triggers(editor, table, set_once, only_where, skips_duplicates=skips_duplicates),
        lambda editor: drop_triggers(editor, table),
    )


def never_replaced(table: str, *, skips_duplicates: bool = False) -> TriggerChange:
    """The migration step for a table that was made append-only before replacement was refused."""
    return TriggerChange(
        lambda editor: refuse_replacement(editor, table, skips_duplicates=skips_duplicates),
        lambda editor: allow_replacement(editor, table),
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


def _keys(editor: BaseDatabaseSchemaEditor, table: str) -> Iterator[str]:
    """For the primary key and each unique key: an SQL condition that matches a row `kept` with the key of `NEW`."""
    with editor.connection.cursor() as cursor:
        yield _same(editor.connection.introspection.get_primary_key_columns(cursor, table) or [])
        indexes = cursor.execute(f"PRAGMA index_list({table})").fetchall()
        for _, index, is_unique, origin, _ in indexes:
            if not is_unique or origin == "pk":
                continue
            columns = [row[2] for row in cursor.execute(f"PRAGMA index_info({index})").fetchall()]
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [index])
            condition = (cursor.fetchone()[0] or "").partition(" WHERE ")[2]
            yield " AND ".join([_same(columns), *([condition, _of_new(condition)] if condition else [])])


def _same(columns: list[str]) -> str:
    return " AND ".join(f'kept."{column}" = NEW."{column}"' for column in columns)


def _of_new(condition: str) -> str:
    """The condition of a partial index, applied to the row being inserted. Django quotes every column."""
    return "(" + re.sub(r'"(\w+)"', r'NEW."\1"', condition) + ")"
