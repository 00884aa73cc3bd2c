"""The configuration ``.github/consdb-actions.yaml``; the defaults are the real ConsDB's.

:mod:`consdb_actions.adapters.typed_files` reads the file. A section that is given replaces the default of
that section; only severities of lint rules are merged with the defaults of the rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from consdb_actions.approval.facts import Policy
from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.forms import STRICT, Form, Name, WrongValueError, unique
from consdb_actions.process.policy import ProcessPolicy, ProcessSection, make_policy
from consdb_actions.process.sites import DEFAULT_SITES, Sites
from consdb_actions.release.versions import ReleasePolicy

CONFIG_PATH = ".github/consdb-actions.yaml"
"""Where the configuration is, relative to the root of a repository."""

Severity = Literal["error", "warning", "info", "off"]
Privilege = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]

_ENDLESS = re.compile(r"\)[*+?{]|\(\?(?!:)|\\[0-9]|[*+?}][*+?{]")
"""Repeated groups, look-arounds, references back, and repetitions of repetitions."""


def _pattern(pattern: str) -> str:
    """Check that a text is a regular expression, and one whose match cannot take without end."""
    plain = re.sub(r"\\[^0-9]|\[(?:\\.|[^\]\\])+\]", "x", pattern)
    if _ENDLESS.search(plain) or len(re.findall(r"[*+?{]", plain.replace("(?:", "("))) > 2:
        raise WrongValueError(
            "this can take very long to match",
            r"Repeat at most two characters or classes, as in [A-Z]{2,9}-\d+, and no groups.",
        )
    try:
        matches_nothing = re.fullmatch(pattern, "", re.ASCII) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise WrongValueError(
            f"this is not a regular expression: {error}", r"Write it as DM-\d+ is written."
        ) from error
    if matches_nothing:
        raise WrongValueError("this matches an empty text", r"Write it as DM-\d+ is written.")
    return pattern


@dataclass(frozen=True, slots=True)
class Tickets:
    """How tickets are named."""

    patterns: Annotated[
        tuple[Annotated[str, Form(min_length=1, max_length=200, then=_pattern)], ...],
        Form(
            r"Regular expressions; each matches a whole ticket, such as DM-\d+.", min_length=1, max_length=20
        ),
    ] = (r"DM-\d+", r"OSW-\d+")


@dataclass(frozen=True, slots=True)
class ViewConfig:
    """A view that the YAML lists as a table."""

    name: str
    table: str  # that it shows
    rename: tuple[tuple[str, str], ...] = ()  # columns in the table and in the view, where they differ

    def shown(self, column: str) -> str:
        """Return the name that a column of the table has in the view."""
        return dict(self.rename).get(column, column)


@dataclass(frozen=True, slots=True)
class ViewEntry:
    """A view in the file."""

    table: Annotated[str, Form("The table that the view shows.", min_length=1)]
    rename: Annotated[Mapping[str, Name], Form("Column of the table -> its name in the view.")] = field(
        default_factory=dict
    )


def _views(entries: Mapping[str, ViewEntry]) -> tuple[ViewConfig, ...]:
    return tuple(ViewConfig(name, view.table, tuple(view.rename.items())) for name, view in entries.items())


@dataclass(frozen=True, slots=True)
class GrantRule:
    """Privileges on the tables and views of some schemas."""

    schemas: str
    role: str
    privileges: tuple[str, ...]


def _grants(rules: Mapping[str, Mapping[str, tuple[str, ...]]]) -> tuple[GrantRule, ...]:
    return tuple(GrantRule(schemas, *item) for schemas, roles in rules.items() for item in roles.items())


_Privileges = Annotated[tuple[Privilege, ...], Form(min_length=1, then=unique)]


@dataclass(frozen=True, slots=True)
class LintConfig:
    """Severities of rules."""

    severity: Annotated[Mapping[str, Severity], Form("Rule -> severity.")] = field(
        default_factory=dict, hash=False
    )


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file; every section may be left out, and the defaults are those of the real ConsDB."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    tickets: Annotated[Tickets, Form("How tickets are named.")] = Tickets()
    views: Annotated[
        tuple[ViewConfig, ...],
        Form(
            "Views that the YAML lists as tables: name of the view -> the table it shows.",
            kind=Mapping[Name, ViewEntry],
            then=_views,
        ),
    ] = (
        ViewConfig("visit1", "exposure", (("exposure_id", "visit_id"),)),
        ViewConfig(
            "ccdvisit1", "ccdexposure", (("ccdexposure_id", "ccdvisit_id"), ("exposure_id", "visit_id"))
        ),
    )
    grants: Annotated[
        tuple[GrantRule, ...],
        Form(
            "Privileges on new tables and views: pattern of schema names -> role -> privileges.",
            kind=Mapping[Name, Mapping[Name, _Privileges]],
            then=_grants,
        ),
    ] = tuple(
        GrantRule(schemas, role, ("SELECT",)) for schemas in ("cdb_*", "efd_*") for role in ("usdf", "oods")
    )
    lint: Annotated[LintConfig, Form("Severities of the rules of lint and preview.")] = LintConfig()
    approvals: Annotated[Policy, Form("Who must approve a schema change.")] = field(default_factory=Policy)
    release: Annotated[ReleasePolicy, Form("How releases are named and tagged.")] = field(
        default_factory=ReleasePolicy
    )
    deploy: Annotated[DeployPolicy, Form("Environments, their stages, and what is deployed where.")] = field(
        default_factory=DeployPolicy
    )
    sites: Annotated[Sites, Form("The databases of the sites, and the replication between them.")] = (
        DEFAULT_SITES
    )
    process: Annotated[
        ProcessSection, Form("Who owns the steps of a schema change, and who may attest to them.")
    ] = field(default_factory=ProcessSection)

    def __post_init__(self) -> None:
        make_policy(self.process, self.approvals, self.deploy)
        roles = [role.id for role in self.approvals.roles]
        for one in self.sites.checklists:
            if one.role not in roles and one not in DEFAULT_SITES.checklists:
                remedy = f"Roles: {', '.join(roles)}."
                raise WrongValueError(
                    "there is no such role", remedy, ("sites", "checklists", one.role), roles
                )


@dataclass(frozen=True, slots=True)
class Config(ConfigFile):
    """The whole configuration."""

    source: str = ""  # the file; empty for the defaults

    @property
    def process_policy(self) -> ProcessPolicy:
        """Return the policy of the process, which several sections make up."""
        return make_policy(self.process, self.approvals, self.deploy, self.ticket_patterns)

    @property
    def ticket_patterns(self) -> tuple[str, ...]:
        """Return the regular expressions of tickets; each matches a whole ticket."""
        return self.tickets.patterns

    @property
    def severities(self) -> Mapping[str, Severity]:
        """Return the rules of lint and preview whose severity is not their default."""
        return self.lint.severity

    def is_ticket(self, text: str) -> bool:
        """Tell whether a text is the name of a ticket, and nothing more."""
        return any(re.fullmatch(pattern, text, re.ASCII) for pattern in self.ticket_patterns)

    @property
    def ticket_examples(self) -> str:
        """How tickets look, for people: an example of each pattern that is plain enough for one."""
        examples = [re.sub(r"\\d(?:\+|\{[\d,]+\})", "123", pattern) for pattern in self.ticket_patterns]
        plain = [example for example in examples if re.fullmatch(r"[\w -]+", example)]
        return " or ".join(plain) if plain else "those of tickets.patterns in the configuration"

    def check_ticket(self, text: str) -> None:
        """Refuse a text that is not the name of a ticket."""
        if not self.is_ticket(text):
            raise InputError(
                f'"{text[:100]}" is not a ticket',
                place="--ticket",
                remedy=f"Tickets look like {self.ticket_examples}.",
            )

    def grants_for(self, schema: str) -> dict[str, tuple[str, ...]]:
        """Return the privileges of each role in a schema, those of several rules joined."""
        granted: dict[str, dict[str, None]] = {}
        for rule in self.grants:
            if fnmatchcase(schema, rule.schemas):
                granted.setdefault(rule.role, {}).update(dict.fromkeys(rule.privileges))
        return {role: tuple(privileges) for role, privileges in granted.items()}


DEFAULT_CONFIG = Config()
