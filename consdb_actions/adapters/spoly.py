"""Make the pgSphere type ``spoly`` available in a database."""

from __future__ import annotations

import psycopg

from consdb_actions.adapters.postgres_sql import Connection

__all__ = ["EXTENSION", "STAND_IN", "make_spoly_available"]

EXTENSION = "pg_sphere"
STAND_IN = "stand-in"

# A base type of its own, so that the catalog shows a column's type as it would with the real extension.
# Values are kept as the text they came as: nothing checks them and no operator knows them.
_STAND_IN_SQL = """
CREATE TYPE public.spoly;
CREATE FUNCTION public.spoly_in(cstring) RETURNS public.spoly
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textin';
CREATE FUNCTION public.spoly_out(public.spoly) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textout';
CREATE TYPE public.spoly (INPUT = public.spoly_in, OUTPUT = public.spoly_out, LIKE = text);
COMMENT ON TYPE public.spoly IS 'stand-in for the pgSphere type: text without geometry';
"""


def make_spoly_available(connection: Connection) -> tuple[str, str]:
    """Create the extension pg_sphere, or a stand-in for its type where the server has none that works."""
    present = connection.execute(
        "SELECT t.oid, e.extname FROM (SELECT to_regtype('spoly') AS oid) t"
        " LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'"
        " LEFT JOIN pg_extension e ON e.oid = d.refobjid"
    ).fetchone()
    if present is not None and present[0] is not None:
        return (EXTENSION if present[1] == EXTENSION else STAND_IN), ""
    problem = ""
    available = connection.execute("SELECT name FROM pg_available_extensions WHERE name = %s", [EXTENSION])
    if available.fetchone() is not None:
        try:
            connection.execute("CREATE EXTENSION pg_sphere SCHEMA public")
        except psycopg.Error as error:
            # Seen with pg_sphere 1.2.0 and Postgres 15.20, which checks operators more strictly than 15.18.
            problem = error.diag.message_primary or str(error)
        else:
            return EXTENSION, ""
    connection.execute(_STAND_IN_SQL)
    return STAND_IN, problem
