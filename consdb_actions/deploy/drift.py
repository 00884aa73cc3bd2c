"""Find which environments run other versions than the newest release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from typing import ClassVar

from consdb_actions.deploy.model import (
    ALWAYS,
    DeployPolicy,
    ImageTag,
    Slot,
    TagKind,
    Values,
    read_tag,
    short_names,
    slots,
)
from consdb_actions.forms import Public

TRAILER = "Consdb-Actions-Waiver"  # Commit trailer that waives rule R5: environment and last day

_WAIVER = re.compile(
    rf"{TRAILER}: (?P<name>[a-z0-9-]+) until (?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ValuesVersion:
    """A values file at one commit."""

    commit: str
    message: str
    day: date  # in UTC
    values: Values | None  # None if the commit removed the file or it could not be read


@dataclass(frozen=True, slots=True)
class Since:
    """The commit that deployed a tag."""

    commit: str
    day: date  # in UTC
    waived: Mapping[str, date] = field(default_factory=dict)  # last day of each waiver, by environment


def since(versions: Iterable[ValuesVersion] | None, slot: Slot) -> Since | None:
    """Find the commit that deployed a component's present tag."""
    first: ValuesVersion | None = None
    waived: dict[str, date] = {}
    tag = ""
    for version in versions or ():
        there = "" if version.values is None else version.values.tag(slot)
        if first is not None and (version.values is None or there != tag):
            break
        first, tag = version, there
        # A later commit can extend a waiver.
        waived = {**waivers(version.message), **waived}
    return None if first is None else Since(first.commit, first.day, waived)


def waiver_trailer(environments: Iterable[str], until: date) -> str:
    """Return the commit trailers of a waiver."""
    return "\n".join(f"{TRAILER}: {name} until {until}" for name in environments)


def waivers(message: str) -> dict[str, date]:
    """Return the waivers in a commit message: last day by environment."""
    found = {}
    for line in message.splitlines():
        match = _WAIVER.fullmatch(line.strip())
        if match is not None:
            try:
                found[match["name"]] = date.fromisoformat(match["day"])
            except ValueError:
                continue
    return found


class Severity(IntEnum):
    """Severity of a finding."""

    INFO = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """Return the severity as a word."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class ComponentTag(Public):
    """The tag of a component in an environment."""

    PUBLIC: ClassVar[str] = (
        "app environment component tag=tag.text kind=tag.kind enabled since=since.day commit=since.commit"
    )

    app: str
    environment: str
    component: str
    tag: ImageTag
    enabled: bool
    since: Since | None = None  # None if the history does not show it
    pull_policy: str = ""  # empty if it has none

    def days(self, today: date) -> int | None:
        """Return the age of the tag in days, if known."""
        return None if self.since is None else max((today - self.since.day).days, 0)


@dataclass(frozen=True, slots=True)
class DriftFinding(Public):
    """A problem of one or more components in an environment."""

    PUBLIC: ClassVar[str] = "severity=severity.word kind app environment components text"

    severity: Severity
    kind: str
    app: str
    environment: str
    components: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class TagDrift(Public):
    """Deployed tags and the findings on them, worst first."""

    FORMAT: ClassVar[str] = "consdb-actions/drift/1"
    PUBLIC: ClassVar[str] = "source day newest released tags findings"

    tags: tuple[ComponentTag, ...]
    findings: tuple[DriftFinding, ...]
    newest: Mapping[str, ImageTag]  # the release to compare with, by application
    day: date  # in UTC; days are counted up to it
    source: str = ""  # where the values files come from
    released: tuple[str, ...] = ()  # applications compared with the newest release, not the newest in use

    def newest_text(self, app: str) -> str:
        """Return which release an application is compared with; empty without one."""
        return _newest(self.newest[app], app in self.released) if app in self.newest else ""

    @property
    def components(self) -> dict[str, list[str]]:
        """Return the components of each application."""
        found: dict[str, dict[str, None]] = {}
        for item in self.tags:
            found.setdefault(item.app, {})[item.component] = None
        return {app: list(names) for app, names in found.items()}

    @property
    def environments(self) -> dict[str, dict[tuple[str, str], ComponentTag]]:
        """Return the tags in each environment, by application and component."""
        found: dict[str, dict[tuple[str, str], ComponentTag]] = {}
        for item in self.tags:
            found.setdefault(item.environment, {})[item.app, item.component] = item
        return found

    def worst(self, item: ComponentTag) -> Severity:
        """Return the severity of the worst finding on a component."""
        names = {item.component, item.component.partition(".")[0]}
        return max(
            (
                found.severity
                for found in self.findings
                if (found.app, found.environment) == (item.app, item.environment)
                and names & set(found.components)
            ),
            default=Severity.INFO,
        )

    def at_least(self, level: Severity) -> tuple[DriftFinding, ...]:
        """Return the findings of at least a severity."""
        return tuple(item for item in self.findings if item.severity >= level)


def component_tags(
    app: str, values: Mapping[str, Values], history: Mapping[str, Sequence[ValuesVersion] | None]
) -> tuple[ComponentTag, ...]:
    """List deployed tags with their dates; ``history``: versions of each file, newest first."""
    return tuple(
        ComponentTag(
            app,
            name,
            slot.component,
            read_tag(found.tag(slot)),
            found.is_enabled(slot),
            since(history.get(name), slot),
            found.value(slot.pull_policy) if slot.pull_policy else "",
        )
        for name, found in values.items()
        for slot in slots(app, found)
    )


def find_drift(
    policy: DeployPolicy,
    seen: Sequence[ComponentTag],
    today: date,
    release: ImageTag | None = None,
    source: str = "",
) -> TagDrift:
    """Compare environments with the newest release and with each other.

    ``today`` is in UTC. Without ``release``, the newest release that an environment runs is used.
    """
    newest = {}
    released = ("consdb",) if release is not None else ()
    for app in dict.fromkeys(item.app for item in seen):
        kind = TagKind.RELEASE if app == "consdb" else TagKind.WEEKLY
        tags = [item.tag for item in seen if item.app == app and item.tag.kind is kind]
        if app == "consdb" and release is not None:
            tags = [release]
        if tags:
            newest[app] = max(tags, key=lambda tag: tag.order)
    found = [
        finding
        for item in seen
        for finding in (
            _by_tag(policy, item, today),
            _behind(policy, item, newest.get(item.app), seen, today, released=item.app in released),
            _pull_policy(item),
            _datalink(item, seen),
        )
        if finding is not None
    ]
    places = {name: number for number, name in enumerate(policy.environments)}
    merged = _merged(found, seen)
    merged.sort(key=lambda item: (-item.severity, item.app, places.get(item.environment, 99), item.kind))
    return TagDrift(tuple(seen), tuple(merged), newest, today, source, released)


def _by_tag(policy: DeployPolicy, item: ComponentTag, today: date) -> DriftFinding | None:
    if item.component == "datalink" or item.tag.is_fixed:
        return None
    strict, days = item.environment in policy.strict, item.days(today)
    if item.tag.kind is TagKind.EMPTY:
        severity = Severity.ERROR if strict else Severity.WARNING
        text = "no tag: the chart's default runs"
        return _finding(severity if item.enabled else Severity.INFO, "empty-tag", item, text)
    off = "" if item.enabled else "disabled, left "
    kind = f"the {item.tag.kind} " if item.tag.kind is TagKind.TICKET else ""
    text = f"{off}on {kind}{item.tag.text}{_age(item, today)}"
    if not item.enabled:
        return _finding(Severity.INFO, "branch-tag", item, text)
    until = item.since.waived.get(item.environment) if item.since else None
    if strict and until is not None:
        if until >= today:
            return _finding(Severity.INFO, "branch-tag", item, f"{text}; waived until {until}")
        text += f"; the waiver ended on {until}"
    if strict:
        return _finding(Severity.ERROR, "branch-tag", item, text)
    long = days is None or days > policy.test_days
    return _finding(Severity.WARNING if long else Severity.INFO, "branch-tag", item, text)


def _behind(
    policy: DeployPolicy,
    item: ComponentTag,
    newest: ImageTag | None,
    seen: Iterable[ComponentTag],
    today: date,
    *,
    released: bool,
) -> DriftFinding | None:
    if newest is None or item.component == "datalink" or not item.tag.is_older_than(newest):
        return None
    stages = {name: number for number, stage in enumerate(policy.stages) for name in stage.environments}
    passed = any(
        stages[other.environment] > stages[item.environment] and item.tag.is_older_than(other.tag)
        for other in seen
        if (other.app, other.component) == (item.app, item.component) and other.enabled
    )
    # The words of the report on migrations: what is described, then what is there.
    text = f"{_newest(newest, released)}, environment {item.tag.text}{_age(item, today)}"
    if item.enabled and passed:
        text += "; a later stage is ahead"
    elif not item.enabled:
        text += "; disabled"
    return _finding(Severity.WARNING if item.enabled else Severity.INFO, "behind", item, text)


def _pull_policy(item: ComponentTag) -> DriftFinding | None:
    if item.component == "datalink" or item.tag.is_fixed or not item.enabled:
        return None
    if item.pull_policy == ALWAYS or item.tag.kind is TagKind.EMPTY:
        return None
    text = f"perhaps on an old build of {item.tag.text}: the pull policy is not Always"
    return _finding(Severity.WARNING, "pull-policy", item, text)


def _datalink(item: ComponentTag, seen: Iterable[ComponentTag]) -> DriftFinding | None:
    """Find datalink snippets of another release than the TAP schema's."""
    if item.component != "datalink":
        return None
    schema = next(
        other
        for other in seen
        if (other.app, other.environment, other.component) == (item.app, item.environment, "tap-schema")
    )
    if item.tag.text == schema.tag.text:
        return None
    severity = Severity.WARNING if schema.tag.is_fixed else Severity.INFO
    text = f"TAP schema {schema.tag.text or 'without a tag'}, datalink {item.tag.text or 'of no release'}"
    return _finding(severity, "datalink", item, text)


def _finding(severity: Severity, kind: str, item: ComponentTag, text: str) -> DriftFinding:
    return DriftFinding(severity, kind, item.app, item.environment, (item.component,), text)


def _merged(found: Iterable[DriftFinding], seen: Sequence[ComponentTag]) -> list[DriftFinding]:
    groups: dict[tuple[Severity, str, str, str, str], list[str]] = {}
    for item in found:
        groups.setdefault((item.severity, item.kind, item.app, item.environment, item.text), []).extend(
            item.components
        )
    everything = {
        (item.app, item.environment): [
            other.component
            for other in seen
            if (other.app, other.environment) == (item.app, item.environment)
        ]
        for item in seen
    }
    return [
        DriftFinding(severity, kind, app, name, tuple(short_names(parts, everything[app, name])), text)
        for (severity, kind, app, name, text), parts in groups.items()
    ]


def _newest(tag: ImageTag, released: bool) -> str:
    return f"newest {'release' if released else 'in use'} {tag.text}"


def _age(item: ComponentTag, today: date) -> str:
    if item.since is None:
        return ""
    days = item.days(today)
    return f" since {item.since.day} ({days} day{'' if days == 1 else 's'})"
