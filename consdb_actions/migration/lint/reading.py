"""From SQL text to actions, with Postgres' own parser."""

from __future__ import annotations

from dataclasses import dataclass

import pglast

from consdb_actions.migration.lint.actions import Action
from consdb_actions.migration.lint.mentions import Mentions, long_identifiers, mentions
from consdb_actions.migration.lint.reading_others import read_other
from consdb_actions.migration.lint.reading_tables import read_table_statement
from consdb_actions.migration.lint.reading_views import read_query_statement

__all__ = ["Parsed", "SqlError", "read"]


class SqlError(Exception):
    """Text that Postgres cannot parse; the message is the parser's own."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One statement.

    Attributes
    ----------
    sql
        Its text.
    actions
        What it does, in order.
    mentions
        Schemas and relations that it names.
    long_identifiers
        Identifiers that Postgres would cut.
    if_exists
        Whether a table that is not there is no mistake (``ALTER TABLE IF EXISTS``).
    """

    sql: str
    actions: tuple[Action, ...]
    mentions: Mentions
    long_identifiers: tuple[str, ...]
    if_exists: bool = False


def read(sql: str, search_path: str = "") -> tuple[Parsed, ...]:
    """Parse a text of any number of statements.

    Parameters
    ----------
    sql
        The text.
    search_path
        Schema in which names without one are looked for; empty when none was set.

    Returns
    -------
    tuple
        The statements in order.

    Raises
    ------
    SqlError
        The text is no SQL.
    """
    if "\0" in sql:
        raise SqlError("the text holds a NUL character")
    try:
        statements = pglast.parse_sql(sql)
        out = []
        for raw in statements:
            start = raw.stmt_location or 0
            text = sql[start : start + raw.stmt_len] if raw.stmt_len else sql[start:]
            actions = (
                read_table_statement(raw.stmt, search_path)
                or read_query_statement(raw.stmt, search_path)
                or read_other(raw.stmt, search_path)
            )
            text = text.strip().rstrip(";").rstrip()
            if_exists = bool(getattr(raw.stmt, "missing_ok", False))
            out.append(Parsed(text, tuple(actions), mentions(raw.stmt), long_identifiers(text), if_exists))
    except pglast.Error as error:
        raise SqlError(_first_words(error)) from error
    except UnicodeEncodeError as error:
        raise SqlError("the text holds characters that are no Unicode text") from error
    return tuple(out)


def _first_words(error: Exception) -> str:
    """Return the parser's message without the position, which counts in rendered text."""
    words = str(error.args[0] if error.args else error)
    return words.partition(", at index")[0].splitlines()[0]
