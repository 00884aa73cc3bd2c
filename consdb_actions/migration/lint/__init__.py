"""Lint of revisions: what their SQL locks, rewrites, loses or breaks, told by Postgres' own parser.

:mod:`~consdb_actions.migration.lint.reading` turns a statement into plain actions,
:mod:`~consdb_actions.migration.lint.effects` follows what they make of the schema from the first revision on,
and each file in :mod:`~consdb_actions.migration.lint.rules` looks for one thing.
"""
