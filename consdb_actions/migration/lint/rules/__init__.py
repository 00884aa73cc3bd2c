"""The rules of lint: one file each, with its id, its severity, its text, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.rules import (
    acknowledgement,
    breaks_readers,
    cascade,
    check_scan,
    data_loss,
    does_not_apply,
    downgrade_loss,
    downgrade_mirror,
    edited_merged_revision,
    empty_downgrade,
    foreign_key_scan,
    index_under_lock,
    key_under_lock,
    lock_timeout,
    long_identifier,
    needs_autocommit,
    needs_connection,
    not_null_scan,
    not_null_without_default,
    other_schema,
    retype_rewrite,
    retype_without_using,
    script_fails,
    table_without_grant,
    table_without_publication,
    two_heads,
    unparseable,
    unqualified_name,
    view_grants_lost,
    view_without_grant,
    volatile_default,
)
from consdb_actions.migration.lint.script import Script

__all__ = ["MODULES", "RULES", "RuleModule"]


class RuleModule(Protocol):
    """What each file has."""

    RULE: Rule

    def check(self, script: Script, /) -> Iterator[Hit]:
        """Yield what the rule finds in a revision."""


MODULES: tuple[RuleModule, ...] = (
    # The file and its history
    script_fails,
    unparseable,
    needs_connection,
    two_heads,
    edited_merged_revision,
    # What will not run, or not as meant
    does_not_apply,
    not_null_without_default,
    retype_without_using,
    needs_autocommit,
    unqualified_name,
    other_schema,
    long_identifier,
    # What is lost
    data_loss,
    cascade,
    view_grants_lost,
    empty_downgrade,
    downgrade_mirror,
    downgrade_loss,
    # Who reads it
    breaks_readers,
    view_without_grant,
    table_without_grant,
    table_without_publication,
    # Locks
    retype_rewrite,
    volatile_default,
    not_null_scan,
    foreign_key_scan,
    check_scan,
    key_under_lock,
    index_under_lock,
    lock_timeout,
    # The comments in the file
    acknowledgement,
)
"""All rules, in the order in which findings on one line are listed."""

RULES: tuple[Rule, ...] = tuple(module.RULE for module in MODULES)
"""What each rule is about."""
