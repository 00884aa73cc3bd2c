"""Whether a default gives every row the same value, so that Postgres can store it once."""

from __future__ import annotations

from consdb_actions.migration.lint.nodes import Node, kind, strings, walk

__all__ = ["volatile_part"]

# Functions that pg_proc calls immutable or stable, as far as defaults use them.
_STEADY = frozenset(
    {
        "abs",
        "array_append",
        "array_cat",
        "ceil",
        "char_length",
        "coalesce",
        "concat",
        "concat_ws",
        "current_date",
        "current_schema",
        "current_setting",
        "current_timestamp",
        "current_user",
        "date",
        "date_part",
        "date_trunc",
        "decode",
        "encode",
        "exp",
        "extract",
        "floor",
        "format",
        "greatest",
        "json_build_array",
        "json_build_object",
        "jsonb_build_array",
        "jsonb_build_object",
        "least",
        "length",
        "ln",
        "localtime",
        "localtimestamp",
        "log",
        "lower",
        "lpad",
        "ltrim",
        "make_date",
        "make_interval",
        "make_time",
        "make_timestamp",
        "make_timestamptz",
        "md5",
        "mod",
        "now",
        "nullif",
        "pi",
        "power",
        "replace",
        "round",
        "rpad",
        "rtrim",
        "session_user",
        "sign",
        "spoint",
        "spoly",
        "sqrt",
        "statement_timestamp",
        "substr",
        "substring",
        "timestamp",
        "timezone",
        "to_char",
        "to_date",
        "to_json",
        "to_jsonb",
        "to_number",
        "to_timestamp",
        "transaction_timestamp",
        "trim",
        "trunc",
        "upper",
    }
)


def volatile_part(node: Node) -> str:
    """Return the function of an expression that may give each row another value.

    Parameters
    ----------
    node
        The expression of a default.

    Returns
    -------
    str
        Its name; empty when the whole expression is evaluated once. A function that is not known counts as
        one that may.
    """
    for found in walk(node):
        if kind(found) == "FuncCall":
            names = strings(found.funcname)
            if names[-1] not in _STEADY or (len(names) > 1 and names[0] != "pg_catalog"):
                return ".".join(names)
    return ""
