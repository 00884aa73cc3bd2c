"""Statements and queries of a runbook; each query returns one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consdb_actions.migration.rewrite.statements import literal, qualified, quote
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.sites import Replication
from consdb_actions.schema.model import Name

_PATIENCE = 600


def table(name: Name) -> str:
    """Quote the name of a relation."""
    return qualified(name.schema, name.name)


def sql_list(names: Iterable[Name]) -> str:
    """Quote and join names of relations."""
    return ", ".join(table(name) for name in names)


_LINES = ",\n    "


def _values(rows: Iterable[Sequence[str | int]], columns: str) -> str:
    written = [
        "(" + ", ".join(str(v) if isinstance(v, int) else literal(v) for v in row) + ")" for row in rows
    ]
    return f"(VALUES {_LINES.join(written)}) AS expected({columns})"


def revision_of(change: SectionChange) -> str:
    """Query the revision of a section."""
    schema, _, name = change.version_table.partition(".")
    return f"SELECT version_num FROM {qualified(schema, name)};"


def columns_counted(relations: Iterable[tuple[Name, int]]) -> str:
    """Count the relations with another number of columns than expected."""
    return (
        f"SELECT count(*) FROM {_values(((table(n), c) for n, c in relations), 'relation, columns')}\n"
        "WHERE columns <> (SELECT count(*) FROM pg_attribute\n"
        "    WHERE attrelid = to_regclass(relation) AND attnum > 0 AND NOT attisdropped);"
    )


def columns_there(columns: Iterable[tuple[Name, str]], *, missing: bool = False) -> str:
    """Count those of some columns that exist, or the missing ones."""
    rows = ((table(name), column) for name, column in columns)
    return (
        f"SELECT count(*) FROM {_values(rows, 'relation, name')}\n"
        f"WHERE {'NOT ' if missing else ''}EXISTS (SELECT FROM pg_attribute\n"
        "    WHERE attrelid = to_regclass(relation) AND attname = name AND NOT attisdropped);"
    )


def grants_there(grants: Iterable[tuple[Name, str, str]]) -> str:
    """Count missing privileges."""
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
    """Query whether the subscription is enabled."""
    return f"SELECT subenabled FROM pg_subscription WHERE subname = {literal(replication.subscription)};"


def slot_active(replication: Replication) -> str:
    """Query at the publisher whether the replica is connected."""
    return f"SELECT active FROM pg_replication_slots WHERE slot_name = {literal(replication.subscription)};"


def worker(replication: Replication) -> str:
    """Count the apply workers of the subscription."""
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
    """Count the row changes that wait for the replica (at the publisher, subscription disabled)."""
    return (
        "SELECT count(*) FROM pg_logical_slot_peek_binary_changes(\n"
        f"    {literal(replication.subscription)}, NULL, NULL,\n"
        f"    'proto_version', '1', 'publication_names', {literal(replication.publication)})\n"
        "WHERE get_byte(data, 0) IN (ascii('I'), ascii('U'), ascii('D'), ascii('T'));"
    )


def retained(replication: Replication) -> str:
    """Query at the publisher how much WAL is kept for the replica, and how much more can be."""
    return (
        "SELECT wal_status, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS kept,\n"
        "    pg_size_pretty(safe_wal_size) AS room\n"
        f"FROM pg_replication_slots WHERE slot_name = {literal(replication.subscription)};"
    )


def identity(tables: Iterable[Name], what: str) -> str:
    """Set REPLICA IDENTITY of tables."""
    return "\n".join(f"ALTER TABLE {table(name)} REPLICA IDENTITY {what};" for name in tables)


def add_to_publication(replication: Replication, tables: Sequence[Name], schemas: Iterable[str]) -> str:
    """Add tables to the publication, and grant SELECT to the replication role."""
    role = quote(replication.role)
    lines = [f"GRANT USAGE ON SCHEMA {quote(schema)} TO {role};" for schema in schemas]
    lines.append(f"GRANT SELECT ON {sql_list(tables)} TO {role};")
    return "\n".join([*lines, alter_publication(replication, "ADD", tables)])


def alter_publication(replication: Replication, what: str, tables: Iterable[Name]) -> str:
    """Add tables to the publication (``ADD``), or remove them (``DROP``)."""
    publication = quote(replication.publication)
    return "\n".join(f"ALTER PUBLICATION {publication} {what} TABLE {table(name)};" for name in tables)


def published(replication: Replication, tables: Iterable[Name], *, missing: bool = False) -> str:
    """Count the published ones of some tables, or the missing ones."""
    rows = ((name.schema, name.name) for name in tables)
    return (
        f"SELECT count(*) FROM {_values(rows, 'in_schema, name')}\n"
        f"WHERE {'NOT ' if missing else ''}EXISTS (SELECT FROM pg_publication_tables\n"
        f"    WHERE pubname = {literal(replication.publication)} AND schemaname = in_schema"
        " AND tablename = name);"
    )


def copied(replication: Replication) -> str:
    """Count at the replica the tables without a complete initial copy."""
    return (
        "SELECT count(*) FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid\n"
        f"WHERE subname = {literal(replication.subscription)} AND srsubstate <> 'r';"
    )


def rows_of(name: Name) -> str:
    """Count the rows of a table."""
    return f"SELECT count(*) FROM {table(name)};"


def newest_rows(name: Name, columns: Sequence[str], new: Sequence[str]) -> str:
    """Query today's rows with the new columns; any rows of a table without days."""
    keys = ("exposure_id", "ccdexposure_id", "visit_id", "ccdvisit_id", "day_obs")
    shown = [quote(column) for column in (*(k for k in keys if k in columns), *new)] or ["*"]
    query = f"SELECT {', '.join(dict.fromkeys(shown))} FROM {table(name)}"
    if "day_obs" not in columns:
        return f"{query} LIMIT 5;"
    today = "to_char((now() AT TIME ZONE 'UTC') - interval '12 hours', 'YYYYMMDD')::int"
    return f"{query}\nWHERE day_obs = {today} LIMIT 5;"


def empty_days(name: Name, column: str) -> str:
    """Query the newest days on which a column is empty."""
    return (
        f"SELECT day_obs, count(*) AS rows, count({quote(column)}) AS filled FROM {table(name)}\n"
        "GROUP BY day_obs ORDER BY day_obs DESC LIMIT 30;"
    )


def empty_rows(name: Name, column: str) -> str:
    """Count the rows in which a column is empty."""
    return f"SELECT count(*) AS rows, count({quote(column)}) AS filled FROM {table(name)};"


def truncate(tables: Iterable[Name]) -> str:
    """Truncate tables."""
    return f"TRUNCATE TABLE {sql_list(tables)};"
