"""How a schema before a change is matched with the one after it: renames, moves, drops, questions. Pure.

:func:`consdb_actions.migration.rename.decide` is the only way in; the modules here are its parts.
"""
