"""Render a deployment plan and its pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consdb_actions.deploy.drift import waiver_trailer
from consdb_actions.deploy.model import PULL_POLICY, DeployPlan, Left, ValueChange, short_names, waiting_words
from consdb_actions.deploy.plan import Holds
from consdb_actions.deploy.tags import TagKind, branch_tag
from consdb_actions.proposal import Action
from consdb_actions.report.markdown import bullets, code, details, escape, fit, printable, prose, table
from consdb_actions.report.release import extent

__all__ = [
    "FORMAT",
    "Shown",
    "changes_table",
    "pull_body",
    "pull_message",
    "pull_title",
    "render_json",
    "render_markdown",
    "render_text",
]

_OPERATIONS = 8  # Total operations of the migrations that are shown unfolded


def pull_title(plan: DeployPlan) -> str:
    """Render the title: ticket, application, tag and environments that change."""
    request = plan.request
    places = list(dict.fromkeys(change.environment for change in plan.changes))
    moved = [change.component for change in plan.changes if change.what != PULL_POLICY]
    parts = short_names(moved, plan.components)
    everything = short_names(plan.components, plan.components)
    which = "" if not moved or parts == everything or parts == ["tap-schema"] else f" {', '.join(parts)}"
    return f"{request.ticket}: {request.app}{which} {request.tag.text} at {_and(places)}"


def pull_message(plan: DeployPlan) -> str:
    """Render the commit message, with the waivers that the drift report reads."""
    title = pull_title(plan)
    if not plan.waived or plan.request.waive_until is None:
        return title
    return f"{title}\n\n{waiver_trailer(plan.waived, plan.request.waive_until)}"


def pull_body(plan: DeployPlan, holds: Holds, digests: Mapping[tuple[str, str], str]) -> str:
    """Render the body; `digests` are by image name and tag."""
    blocks = [changes_table(plan), *_warnings(plan)]
    blocks += _holds(plan, holds)
    if lines := _left(plan):
        blocks.append(f"### Stays behind\n\n{bullets(lines)}")
    title, checks = _checks(plan, holds)
    blocks.append(f"### {title}\n\n" + bullets(f"[ ] {line}" for line in checks))
    if digests:
        lines = [f"{code(f'{image}:{tag}')} {code(digest[:19])}" for (image, tag), digest in digests.items()]
        blocks.append(details("Images, as the registry has them", bullets(lines)))
    blocks.append(
        "<sub>Made by consdb-actions from the difference. What you write above or below stays.</sub>"
    )
    return fit(blocks, "*{count} more parts did not fit.*", limit=60_000)


def changes_table(plan: DeployPlan) -> str:
    """Render the changes, with equal ones of several components in one row."""
    rows: dict[tuple[str, bool, str, str], list[ValueChange]] = {}
    for change in plan.changes:
        key = (change.environment, change.what == PULL_POLICY, change.old, change.new)
        rows.setdefault(key, []).append(change)
    return table(
        ("Environment", "Component", "From", "To"),
        (
            (
                escape(name),
                escape(", ".join(_components(changes))),
                _value(old, policy=policy),
                _value(new, policy=policy) + (" (goes back)" if not policy and changes[0].goes_back else ""),
            )
            for (name, policy, old, new), changes in rows.items()
        ),
    )


def _components(changes: list[ValueChange]) -> list[str]:
    words: dict[str, None] = {}
    for change in changes:
        kind, _, instrument = change.component.partition(".")
        if change.what == PULL_POLICY:
            words[f"{change.component}, pull policy"] = None
        elif instrument:
            same = [c for c in changes if c.component.startswith(f"{kind}.")]
            names = [
                ", ".join(c.component.partition(".")[2] for c in same if c.enabled is enabled)
                for enabled in (True, False)
            ]
            off = f"disabled: {names[1]}" if names[1] else ""
            words[f"{kind} ({'; '.join(filter(None, (names[0], off)))})"] = None
        else:
            words["datalink URL" if change.what == "datalink" else change.component] = None
    return list(words)


def _value(value: str, *, policy: bool) -> str:
    return code(value, in_table=True) if value else ("the chart's default" if policy else "none")


def _warnings(plan: DeployPlan) -> list[str]:
    request, lines = plan.request, []
    if plan.waived and request.waive_until is not None:
        lines.append(
            f"{code(request.tag.text)} is not a release. It may stay at "
            f"{_and(map(escape, plan.waived))} until **{request.waive_until}**; "
            "after that day the drift report counts it as an error."
        )
    if plan.waiting:
        stages = _and(dict.fromkeys(escape(item.stage) for item in plan.waiting))
        behind = prose(waiting_words(plan.waiting))
        lines.append(f"This goes ahead of {stages}, asked for with `--force-order`: {behind}.")
    return ["> [!WARNING]\n" + "\n>\n".join(f"> {line}" for line in lines)] if lines else []


def _holds(plan: DeployPlan, holds: Holds) -> list[str]:
    tag, url = plan.request.tag, f"https://github.com/{holds.repository}"
    if not tag.is_fixed:
        branch = branch_tag(tag)
        where = f"the branch [{escape(branch)}]({url}/tree/{branch})" if branch else code(tag.text)
        return [f"This is a test of {where}, and no release."]
    head = f"### What {escape(tag.text)} brings"
    if not holds.since or holds.problem:
        why = prose(holds.problem or "it replaces no earlier release") + "."
        return [head, f"Not shown: {why}"]
    link = f"[all changes]({url}/compare/{holds.since}...{tag.text})"
    if holds.notes is None:
        files = [code(path.rpartition("/")[2].removesuffix(".yaml")) for path in holds.schemas]
        changed = f"changes of {', '.join(files)}" if files else "no schema of ConsDB changed"
        return [head, f"Since {escape(holds.since)}: {changed} ({link})."]
    words = extent(holds.notes)
    blocks = [head, f"{words[0].upper()}{words[1:]} ({link})."]
    operations = sum(len(m.operations) or 1 for _, ms in holds.notes.sections for m in ms)
    rows = [
        f"**{escape(section)}**: {escape(migration.title or migration.revision)} ({code(migration.revision)})"
        + "".join(f"\n  - {prose(words)}" for words in migration.operations)
        for section, migrations in holds.notes.sections
        for migration in migrations
    ]
    if rows:
        body = bullets(rows)
        blocks.append(body if operations <= _OPERATIONS else details(f"Migrations ({len(rows)})", body))
    named = [(f"{topic.name}: ", pull) for topic in holds.notes.topics for pull in topic.pulls]
    lines = [
        f"{escape(name + pull.title)} ([#{pull.number}]({url}/pull/{pull.number}))"
        for name, pull in [*named, *(("", pull) for pull in holds.notes.others)]
    ]
    if lines:
        blocks.append(details(f"Pull requests ({len(lines)})", bullets(lines)))
    return blocks


def _left(plan: DeployPlan) -> list[str]:
    """List components without the tag; for a test only in its environments."""
    lines = []
    for later in (False, True):
        places: dict[str, list[Left]] = {}
        for item in plan.left:
            if item.later is later and (plan.request.tag.is_fixed or not later):
                places.setdefault(item.environment, []).append(item)
        by_words: dict[str, list[str]] = {}
        for name, items in places.items():
            by_words.setdefault(_running(items), []).append(escape(name))
        start = "Still to come: " if later else ""
        lines += [f"{start}{_and(names)}, at {words}" for words, names in by_words.items()]
    return lines


def _running(items: list[Left]) -> str:
    by_tag: dict[str, list[str]] = {}
    for item in items:
        by_tag.setdefault(item.tag, []).append(item.component)
    everything = [item.component for item in items]
    return ", ".join(
        f"{code(tag) if tag else 'no tag'} ({escape(', '.join(short_names(parts, everything)))})"
        for tag, parts in by_tag.items()
    )


def _checks(plan: DeployPlan, holds: Holds) -> tuple[str, list[str]]:
    places = _and(escape(name) for name in dict.fromkeys(change.environment for change in plan.changes))
    app = code(plan.request.app)
    if not plan.request.tag.is_fixed:
        lines = [
            f"Argo CD's target revision of {app} at {places} is this branch while the test lasts",
            "The pods are healthy, and their logs show no errors",
            "The release that follows is put here by the same command, with its tag",
        ]
        if plan.request.tag.kind is TagKind.MAIN:
            lines.append("`main` is meant: it changes without anybody deploying it")
        return "For the test", lines
    lines = []
    if holds.notes is not None and holds.notes.sections:
        sections = _and(code(section) for section, _ in holds.notes.sections)
        lines.append(f"Before the merge, the databases of {places} have the migrations of {sections}")
    lines.append(f"After the merge, {app} at {places} is synced and healthy in Argo CD")
    if any(change.component == "pq" for change in plan.changes):
        lines.append("pqserver answers a query there")
    if plan.request.app == "consdbtap":
        lines.append("TAP shows the columns that are new")
    return "Checks", lines


def _and(words: Iterable[str]) -> str:
    items = list(words)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


FORMAT = "consdb-actions/deploy/1"

_WORDS = {
    "opened": "pull request opened",
    "updated": "pull request updated",
    "unchanged": "pull request is up to date already",
    "nothing": "nothing to do",
}

_WOULD = {
    "opened": "would open a pull request",
    "updated": "would update the pull request",
    "unchanged": "the pull request is up to date already",
    "nothing": "nothing to do",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The deployment and its result."""

    plan: DeployPlan | None  # None if there is nothing to repin
    repository: str  # of the values files
    action: Action | None  # done or planned; None if refused
    done: bool
    title: str = ""  # of the pull request; empty if nothing changes
    body: str = ""  # of the pull request; empty if nothing changes
    number: int | None = None
    url: str = ""
    local: str = ""

    @property
    def words(self) -> str:
        """Return the action as text."""
        if self.plan is None:
            return "no environment runs a ticket image: nothing to repin"
        if self.action is None:
            return "refused: nothing was changed"
        if self.action == "nothing":
            places = ", ".join(self.plan.environments)
            rest = ""
            if self.number is not None:
                rest = f"; pull request {self.number} is still open and changes nothing any more: close it"
            return f"nothing to do: {self.plan.request.tag.text} is at {places} already{rest}"
        return (_WORDS if self.done else _WOULD)[self.action]


def render_text(shown: Shown) -> str:
    """Render a deployment for a terminal: changes, refusals, action."""
    plan = shown.plan
    lines = [shown.title] if shown.title else []
    if plan is not None:
        rows = [
            (
                change.environment,
                f"{change.component} {change.what}" if change.what == "pull policy" else change.component,
                f"{change.old or 'none'} -> {change.new or 'default'}",
                "" if change.enabled else "disabled",
            )
            for change in plan.changes
        ]
        widths = [max((len(row[n]) for row in rows), default=0) for n in range(3)]
        lines += [
            "  "
            + "  ".join(
                [*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[3]]
            ).rstrip()
            for row in rows
        ]
        lines += [f"  refused by {item.rule}: {item.cause}\n    {item.remedy}" for item in plan.refusals]
        if plan.waived:
            lines.append(f"  R5 is waived at {', '.join(plan.waived)} until {plan.request.waive_until}")
        if plan.waiting and plan.request.force_order:
            lines.append(f"  R6 is passed: {waiting_words(plan.waiting)}")
    if shown.local:
        images = ", ".join(f"{image}:{tag}" for image, tag in plan.images) if plan is not None else ""
        lines.append(f"  from {shown.local}")
        lines.append(
            "  not looked up: whether a pull request is open"
            + (f", and the images {images}" if images else "")
        )
    where = f": {shown.url}" if shown.url else ""
    if shown.action == "opened" and plan is not None and not shown.url:
        where = f" in {shown.repository}, from the branch {plan.branch}"
    lines.append(f"{shown.words}{where}")
    return "\n".join(printable(part) for line in lines for part in line.split("\n"))


def render_markdown(shown: Shown) -> str:
    """Render a deployment as in its pull request, or why there is none."""
    plan = shown.plan
    blocks = [f"### {escape(shown.title or shown.words)}"]
    if plan is not None and plan.refusals:
        blocks += [
            changes_table(plan),
            *(
                f"**Refused by {item.rule}**: {prose(item.cause)}. {prose(item.remedy)}"
                for item in plan.refusals
            ),
        ]
    elif shown.title:
        link = f"[#{shown.number}]({shown.url})" if shown.url else code(plan.branch if plan else "")
        blocks += [f"{shown.words}: {link}", shown.body]
    return "\n\n".join(blocks)


def render_json(shown: Shown) -> dict[str, Any]:
    """Return a deployment as JSON data, described by ``schemas/deploy.schema.json``."""
    plan = shown.plan
    return {
        "format": FORMAT,
        "repository": shown.repository,
        "action": shown.action or "refused",
        "done": shown.done,
        "number": shown.number,
        "url": shown.url,
        "title": shown.title,
        "body": shown.body,
        "plan": None if plan is None else _plan_json(plan),
    }


def _plan_json(plan: DeployPlan) -> dict[str, Any]:
    request = plan.request
    return {
        "app": request.app,
        "ticket": request.ticket,
        "tag": request.tag.text,
        "kind": request.tag.kind.value,
        "stage": plan.stage.name,
        "environments": list(plan.environments),
        "branch": plan.branch,
        "files": sorted(plan.files),
        "changes": [
            {
                "environment": change.environment,
                "component": change.component,
                "what": change.what,
                "old": change.old,
                "new": change.new,
                "enabled": change.enabled,
            }
            for change in plan.changes
        ],
        "images": [f"{image}:{tag}" for image, tag in plan.images],
        "waived": {"environments": list(plan.waived), "until": str(request.waive_until)}
        if plan.waived
        else None,
        "forced_past": [
            {"stage": item.stage, "environment": item.environment, "tags": dict(item.tags)}
            for item in plan.waiting
        ]
        if request.force_order
        else [],
        "left": [
            {
                "environment": item.environment,
                "component": item.component,
                "tag": item.tag,
                "later": item.later,
            }
            for item in plan.left
        ],
        "refusals": [
            {"rule": item.rule, "cause": item.cause, "remedy": item.remedy} for item in plan.refusals
        ],
    }
