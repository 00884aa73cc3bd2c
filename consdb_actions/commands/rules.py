"""Check the rules in the configuration."""

from __future__ import annotations

from consdb_actions.adapters.yaml_tree import did_you_mean
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.schema.findings import RULES

__all__ = ["check_rules"]


def check_rules(config: Config) -> None:
    """Refuse a severity of a rule that neither preview nor lint has."""
    unknown = [rule for rule in config.severities if rule not in RULES]
    if not unknown:
        return
    from consdb_actions.lint.rules import RULES as LINT_RULES

    lint = {rule.id for rule in LINT_RULES}
    for rule in unknown:
        if rule not in lint:
            raise InputError(
                f"lint.severity.{rule}: there is no such rule",
                place=config.source,
                remedy=did_you_mean(rule, [*RULES, *lint])
                or "The rules of preview and lint are listed in the docs.",
            )
