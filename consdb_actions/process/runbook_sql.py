"""The statements and questions of a runbook. Every question is answered by one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consdb_actions.lint.state import Name
from consdb_actions.migration.rewrite.statements import literal, qualified, quote
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.sites import Replication

__all__ = [
    "add_to_publication",
    "alter_subscription",
    "caught_up",
    "columns_counted",
    "columns_gone",
    "columns_there",
    "copied",
    "empty_days",
    "empty_rows",
    "enabled",
    "grants_there",
    "identity",
    "newest_rows",
    "not_published",
    "pending",
    "published",
    "put_back",
    "retained",
    "revision_of",
    "rows_of",
    "slot_active",
    "sql_list",
    "subscription",
    "table",
    "take_out",
    "truncate",
    "worker",
]

_PATIENCE = 600


def table(name: Name) -> str:
    """Write the name of a relation."""
    return qualified(name.schema, name.name)


def sql_list(names: Iterable[Name]) -> str:
    """Write names of relations one after the other."""
    return ", ".join(table(name) for name in names)


_LINES = ",\n    "


def _values(rows: Iterable[Sequence[str | int]], columns: str) -> str:
    written = [
        "(" + ", ".join(str(v) if isinstance(v, int) else literal(v) for v in row) + ")" for row in rows
    ]
    return f"(VALUES {_LINES.join(written)}) AS expected({columns})"


def revision_of(change: SectionChange) -> str:
    """Ask at which revision a section is."""
    schema, _, name = change.version_table.partition(".")
    return f"SELECT version_num FROM {qualified(schema, name)};"


def columns_counted(relations: Iterable[tuple[Name, int]]) -> str:
    """Ask how many relations have another number of columns than they should: none, when all is well."""
    return (
        f"SELECT count(*) FROM {_values(((table(n), c) for n, c in relations), 'relation, columns')}\n"
        "WHERE columns <> (SELECT count(*) FROM pg_attribute\n"
        "    WHERE attrelid = to_regclass(relation) AND attnum > 0 AND NOT attisdropped);"
    )


def _columns(columns: Iterable[tuple[Name, str]], there: str) -> str:
    rows = ((table(name), column) for name, column in columns)
    return (
        f"SELECT count(*) FROM {_values(rows, 'relation, name')}\n"
        f"WHERE {there} (SELECT FROM pg_attribute\n"
        "    WHERE attrelid = to_regclass(relation) AND attname = name AND NOT attisdropped);"
    )


def columns_there(columns: Iterable[tuple[Name, str]]) -> str:
    """Ask how many of some columns are missing."""
    return _columns(columns, "NOT EXISTS")


def columns_gone(columns: Iterable[tuple[Name, str]]) -> str:
    """Ask how many of some columns are still there."""
    return _columns(columns, "EXISTS")


def grants_there(grants: Iterable[tuple[Name, str, str]]) -> str:
    """Ask how many privileges are missing."""
    rows = ((role, table(name), privilege) for name, role, privilege in grants)
    return (
        f"SELECT count(*) FROM {_values(rows, 'role, relation, privilege')}\n"
        "WHERE NOT has_table_privilege(role, relation, privilege);"
    )


def alter_subscription(name: str, what: str) -> str:
    """Change a subscription."""
    return f"ALTER SUBSCRIPTION {quote(name)} {what};"


def subscription(replication: Replication, what: str) -> str:
    """Change the subscription of the replica."""
    return alter_subscription(replication.subscription, what)


def enabled(replication: Replication) -> str:
    """Ask whether the subscription is on."""
    return f"SELECT subenabled FROM pg_subscription WHERE subname = {literal(replication.subscription)};"


def slot_active(replication: Replication) -> str:
    """Ask the publisher whether the replica is connected."""
    return f"SELECT active FROM pg_replication_slots WHERE slot_name = {literal(replication.subscription)};"


def worker(replication: Replication) -> str:
    """Ask how many workers take rows for the subscription."""
    return (
        "SELECT count(*) FROM pg_stat_subscription\n"
        f"WHERE subname = {literal(replication.subscription)} AND relid IS NULL AND pid IS NOT NULL;"
    )


def caught_up(replication: Replication, seconds: int = _PATIENCE) -> str:
    """Wait at the publisher until the replica has everything that is written by now."""
    return (
        "DO $$ DECLARE mark pg_lsn := pg_current_wal_lsn(); BEGIN\n"
        f"    FOR attempt IN 1..{seconds * 5} LOOP\n"
        "        IF (SELECT confirmed_flush_lsn >= mark FROM pg_replication_slots\n"
        f"            WHERE slot_name = {literal(replication.subscription)}) THEN RETURN; END IF;\n"
        "        PERFORM pg_sleep(0.2);\n"
        "    END LOOP;\n"
        f"    RAISE EXCEPTION 'the replica is still behind after {seconds} seconds';\n"
        "END $$;"
    )


def pending(replication: Replication) -> str:
    """Ask the publisher how many changes of rows wait for the replica; the subscription must be off."""
    return (
        "SELECT count(*) FROM pg_logical_slot_peek_binary_changes(\n"
        f"    {literal(replication.subscription)}, NULL, NULL,\n"
        f"    'proto_version', '1', 'publication_names', {literal(replication.publication)})\n"
        "WHERE get_byte(data, 0) IN (ascii('I'), ascii('U'), ascii('D'), ascii('T'));"
    )


def retained(replication: Replication) -> str:
    """Ask the publisher how much it keeps for the replica, and how much more it may keep."""
    return (
        "SELECT wal_status, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS kept,\n"
        "    pg_size_pretty(safe_wal_size) AS room\n"
        f"FROM pg_replication_slots WHERE slot_name = {literal(replication.subscription)};"
    )


def identity(tables: Iterable[Name], what: str) -> str:
    """Set how rows of tables are known to the replica."""
    return "\n".join(f"ALTER TABLE {table(name)} REPLICA IDENTITY {what};" for name in tables)


def add_to_publication(replication: Replication, tables: Sequence[Name], schemas: Iterable[str]) -> str:
    """Publish tables, and let the role of the replication read them."""
    role = quote(replication.role)
    lines = [f"GRANT USAGE ON SCHEMA {quote(schema)} TO {role};" for schema in schemas]
    lines.append(f"GRANT SELECT ON {sql_list(tables)} TO {role};")
    return "\n".join([*lines, put_back(replication, tables)])


def take_out(replication: Replication, tables: Iterable[Name]) -> str:
    """Take tables out of the publication."""
    publication = quote(replication.publication)
    return "\n".join(f"ALTER PUBLICATION {publication} DROP TABLE {table(name)};" for name in tables)


def put_back(replication: Replication, tables: Iterable[Name]) -> str:
    """Publish tables again."""
    publication = quote(replication.publication)
    return "\n".join(f"ALTER PUBLICATION {publication} ADD TABLE {table(name)};" for name in tables)


def published(replication: Replication, tables: Iterable[Name]) -> str:
    """Ask how many of some tables are published."""
    rows = ((name.schema, name.name) for name in tables)
    return (
        f"SELECT count(*) FROM {_values(rows, 'in_schema, name')}\n"
        "WHERE EXISTS (SELECT FROM pg_publication_tables\n"
        f"    WHERE pubname = {literal(replication.publication)} AND schemaname = in_schema"
        " AND tablename = name);"
    )


def not_published(replication: Replication, tables: Iterable[Name]) -> str:
    """Ask how many tables are not published."""
    rows = ((name.schema, name.name) for name in tables)
    return (
        f"SELECT count(*) FROM {_values(rows, 'in_schema, name')}\n"
        "WHERE NOT EXISTS (SELECT FROM pg_publication_tables\n"
        f"    WHERE pubname = {literal(replication.publication)} AND schemaname = in_schema"
        " AND tablename = name);"
    )


def copied(replication: Replication) -> str:
    """Ask the replica how many tables are not copied yet."""
    return (
        "SELECT count(*) FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid\n"
        f"WHERE subname = {literal(replication.subscription)} AND srsubstate <> 'r';"
    )


def rows_of(name: Name) -> str:
    """Ask how many rows a table has."""
    return f"SELECT count(*) FROM {table(name)};"


def newest_rows(name: Name, columns: Sequence[str], new: Sequence[str]) -> str:
    """Ask for the rows of today, with the columns that are new; of a table without days, for any rows."""
    keys = ("exposure_id", "ccdexposure_id", "visit_id", "ccdvisit_id", "day_obs")
    shown = [quote(column) for column in (*(k for k in keys if k in columns), *new)] or ["*"]
    query = f"SELECT {', '.join(dict.fromkeys(shown))} FROM {table(name)}"
    if "day_obs" not in columns:
        return f"{query} LIMIT 5;"
    today = "to_char((now() AT TIME ZONE 'UTC') - interval '12 hours', 'YYYYMMDD')::int"
    return f"{query}\nWHERE day_obs = {today} LIMIT 5;"


def empty_days(name: Name, column: str) -> str:
    """Ask for the newest days on which a column is empty."""
    return (
        f"SELECT day_obs, count(*) AS rows, count({quote(column)}) AS filled FROM {table(name)}\n"
        "GROUP BY day_obs ORDER BY day_obs DESC LIMIT 30;"
    )


def empty_rows(name: Name, column: str) -> str:
    """Ask in how many rows a column is empty."""
    return f"SELECT count(*) AS rows, count({quote(column)}) AS filled FROM {table(name)};"


def truncate(tables: Iterable[Name]) -> str:
    """Empty tables."""
    return f"TRUNCATE TABLE {sql_list(tables)};"
