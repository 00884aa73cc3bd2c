"""The configuration ``.github/consdb-actions.yaml`` as plain data; the defaults are the real ConsDB's.

:mod:`consdb_actions.adapters.config_file` reads the file. A section that is given replaces the default of
that section; only severities of lint rules are merged with the defaults of the rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, cast

from consdb_actions.errors import InputError

__all__ = [
    "CONFIG_PATH",
    "DEFAULT_CONFIG",
    "Config",
    "GrantRule",
    "Severity",
    "ViewConfig",
    "config_from_mapping",
]

CONFIG_PATH = ".github/consdb-actions.yaml"
"""Where the configuration is, relative to the root of a repository."""

Severity = Literal["error", "warning", "info", "off"]


@dataclass(frozen=True, slots=True)
class ViewConfig:
    """A view that the YAML lists as a table.

    Parameters
    ----------
    name
        The view.
    table
        The table that it shows.
    rename
        Names of columns in the table and in the view, where they differ.
    """

    name: str
    table: str
    rename: tuple[tuple[str, str], ...] = ()

    def shown(self, column: str) -> str:
        """Return the name that a column of the table has in the view."""
        return dict(self.rename).get(column, column)


@dataclass(frozen=True, slots=True)
class GrantRule:
    """Privileges on the tables and views of some schemas."""

    schemas: str
    role: str
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration.

    Parameters
    ----------
    ticket_patterns
        Regular expressions; each matches a whole ticket.
    views
        The views of schemas that have their table.
    grants
        Who gets what on new tables and views.
    severities
        Rules of lint and preview whose severity is not their default.
    approvals, release, deploy, sites, process
        The sections of these names as they stand, checked against the JSON Schema; empty when there is none.
        The domain package that a section belongs to makes its own policy of it, with the defaults.
    source
        The file it came from; empty for the defaults.
    """

    ticket_patterns: tuple[str, ...]
    views: tuple[ViewConfig, ...]
    grants: tuple[GrantRule, ...]
    severities: Mapping[str, Severity] = field(default_factory=dict)
    approvals: Mapping[str, Any] = field(default_factory=dict)
    release: Mapping[str, Any] = field(default_factory=dict)
    deploy: Mapping[str, Any] = field(default_factory=dict)
    sites: Mapping[str, Any] = field(default_factory=dict)
    process: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def is_ticket(self, text: str) -> bool:
        """Tell whether a text is the name of a ticket, and nothing more."""
        return any(re.fullmatch(pattern, text, re.ASCII) for pattern in self.ticket_patterns)

    @property
    def ticket_examples(self) -> str:
        """How tickets look, for people: an example of each pattern that is plain enough for one."""
        examples = [re.sub(r"\\d(?:\+|\{[\d,]+\})", "123", pattern) for pattern in self.ticket_patterns]
        plain = [example for example in examples if re.fullmatch(r"[\w -]+", example)]
        return " or ".join(plain) if plain else "those of tickets.patterns in the configuration"

    def grants_for(self, schema: str) -> dict[str, tuple[str, ...]]:
        """Return the privileges of each role in a schema, those of several rules joined."""
        granted: dict[str, dict[str, None]] = {}
        for rule in self.grants:
            if fnmatchcase(schema, rule.schemas):
                granted.setdefault(rule.role, {}).update(dict.fromkeys(rule.privileges))
        return {role: tuple(privileges) for role, privileges in granted.items()}


_ENDLESS = re.compile(r"\)[*+?{]|\(\?(?!:)|\\[0-9]|[*+?}][*+?{]")
"""Repeated groups, look-arounds, references back, and repetitions of repetitions."""

DEFAULT_CONFIG = Config(
    ticket_patterns=(r"DM-\d+", r"OSW-\d+"),
    views=(
        ViewConfig("visit1", "exposure", (("exposure_id", "visit_id"),)),
        ViewConfig(
            "ccdvisit1", "ccdexposure", (("ccdexposure_id", "ccdvisit_id"), ("exposure_id", "visit_id"))
        ),
    ),
    grants=tuple(
        GrantRule(schemas, role, ("SELECT",)) for schemas in ("cdb_*", "efd_*") for role in ("usdf", "oods")
    ),
)


def config_from_mapping(values: Mapping[str, Any], *, source: str) -> Config:
    """Build the configuration from a file's content.

    Parameters
    ----------
    values
        The content, already checked against ``config.schema.json``.
    source
        Name of the file, for errors.

    Raises
    ------
    InputError
        When a ticket pattern is not a regular expression.
    """
    default = DEFAULT_CONFIG
    patterns = default.ticket_patterns
    if "tickets" in values:
        patterns = _patterns(values["tickets"].get("patterns", patterns), source)
    views = default.views
    if "views" in values:
        views = tuple(
            ViewConfig(name, view["table"], tuple(view.get("rename", {}).items()))
            for name, view in values["views"].items()
        )
    grants = default.grants
    if "grants" in values:
        grants = tuple(
            GrantRule(schemas, role, tuple(word.upper() for word in privileges))
            for schemas, roles in values["grants"].items()
            for role, privileges in roles.items()
        )
    severities = cast("Mapping[str, Severity]", values.get("lint", {}).get("severity", {}))
    parts = {name: values.get(name, {}) for name in ("approvals", "release", "deploy", "sites", "process")}
    return Config(patterns, views, grants, dict(severities), **parts, source=source)


def _patterns(patterns: Sequence[str], source: str) -> tuple[str, ...]:
    """Check that each pattern is a regular expression, and a match that cannot take without end."""
    for number, pattern in enumerate(patterns):
        plain = re.sub(r"\\[^0-9]|\[(?:\\.|[^\]\\])+\]", "x", pattern)
        if _ENDLESS.search(plain) or len(re.findall(r"[*+?{]", plain.replace("(?:", "("))) > 2:
            raise InputError(
                f"tickets.patterns[{number}] can take very long to match",
                place=source,
                remedy=r"Repeat at most two characters or classes, as in [A-Z]{2,9}-\d+, and no groups.",
            )
        try:
            matches_nothing = re.fullmatch(pattern, "", re.ASCII) is not None
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(
                f"tickets.patterns[{number}] is not a regular expression: {error}",
                place=source,
                remedy=r"Write it as DM-\d+ is written.",
            ) from error
        if matches_nothing:
            raise InputError(
                f"tickets.patterns[{number}] matches an empty text",
                place=source,
                remedy=r"Write it as DM-\d+ is written.",
            )
    return tuple(patterns)
