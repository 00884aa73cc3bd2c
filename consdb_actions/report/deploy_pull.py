"""The pull request of a deployment: title, body and commit message, from the real difference (rule R3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from consdb_actions.deploy.changes import PULL_POLICY, Change
from consdb_actions.deploy.components import short_names
from consdb_actions.deploy.history import waiver_trailer
from consdb_actions.deploy.holds import Holds
from consdb_actions.deploy.model import Left, Plan
from consdb_actions.deploy.tags import Kind, branch_tag
from consdb_actions.report.markdown import bullets, code, details, escape, fit, prose, table
from consdb_actions.report.release_notes import extent

__all__ = ["changes_table", "pull_body", "pull_message", "pull_title"]

_OPERATIONS = 8
"""Operations of all migrations together that are shown without folding them."""


def pull_title(plan: Plan) -> str:
    """Write the title: ticket, application, tag and environments, as the difference has them.

    Parameters
    ----------
    plan
        A deployment that changes something.
    """
    request = plan.request
    places = list(dict.fromkeys(change.environment for change in plan.changes))
    moved = [change.component for change in plan.changes if change.what != PULL_POLICY]
    parts = short_names(moved, plan.components)
    everything = short_names(plan.components, plan.components)
    which = "" if not moved or parts == everything or parts == ["tap-schema"] else f" {', '.join(parts)}"
    return f"{request.ticket}: {request.app}{which} {request.tag.text} at {_and(places)}"


def pull_message(plan: Plan) -> str:
    """Write the message of the commit, with the waivers that the drift report reads."""
    title = pull_title(plan)
    if not plan.waived or plan.request.waive_until is None:
        return title
    return f"{title}\n\n{waiver_trailer(plan.waived, plan.request.waive_until)}"


def pull_body(plan: Plan, holds: Holds, digests: Mapping[tuple[str, str], str]) -> str:
    """Write the body.

    Parameters
    ----------
    plan
        A deployment that changes something.
    holds
        What it brings.
    digests
        Digest of each image, by name and tag.

    Returns
    -------
    str
        Markdown, in which what others wrote is inert.
    """
    blocks = [changes_table(plan), *_warnings(plan)]
    blocks += _holds(plan, holds)
    if lines := _left(plan):
        blocks.append(f"### Stays behind\n\n{bullets(lines)}")
    blocks.append("### Before merging\n\n" + bullets(f"[ ] {line}" for line in _checks(plan, holds)))
    if digests:
        lines = [f"{code(f'{image}:{tag}')} {code(digest[:19])}" for (image, tag), digest in digests.items()]
        blocks.append(details("Images, as the registry has them", bullets(lines)))
    blocks.append("<sub>Written by consdb-actions from the difference. What you write outside stays.</sub>")
    return fit(blocks, "*{count} more parts did not fit.*", limit=60_000)


def changes_table(plan: Plan) -> str:
    """Write the table of what changes, with components that change alike in one row."""
    rows: dict[tuple[str, str, str, str, bool], list[str]] = {}
    for change in plan.changes:
        key = (change.environment, change.what, change.old, change.new, change.enabled)
        rows.setdefault(key, []).append(change.component)
    everything = plan.components
    return table(
        ("Environment", "Component", "From", "To"),
        (
            (
                escape(name),
                _component(what, parts, everything) + ("" if enabled else " (disabled)"),
                _value(old, what),
                _value(new, what) + _back(plan, old, new, what),
            )
            for (name, what, old, new, enabled), parts in rows.items()
        ),
    )


def _component(what: str, parts: list[str], everything: Iterable[str]) -> str:
    """Name components in a row."""
    if what == PULL_POLICY:
        return f"{escape(', '.join(parts))}, pull policy"
    names = short_names(parts, everything)
    if names == ["hinfo"]:
        return escape(f"hinfo ({', '.join(part.removeprefix('hinfo.') for part in parts)})")
    return escape(", ".join(names))


def _value(value: str, what: str) -> str:
    """Write a tag or a policy; an empty one is the chart's."""
    return code(value, in_table=True) if value else ("chart's default" if what == PULL_POLICY else "none")


def _back(plan: Plan, old: str, new: str, what: str) -> str:
    """Say that a tag goes back."""
    change = Change("", "", what, old, new)
    return " (goes back)" if what != PULL_POLICY and change.goes_back else ""


def _warnings(plan: Plan) -> list[str]:
    """Say which rules were passed, and for how long."""
    request, lines = plan.request, []
    if plan.waived and request.waive_until is not None:
        lines.append(
            f"{code(request.tag.text)} is no release. It may stay at {_and(map(escape, plan.waived))} until "
            f"**{request.waive_until}**; after that day the drift report counts it as an error."
        )
    if plan.waiting:
        behind = "; ".join(f"{escape(item.environment)} has {prose(item.words)}" for item in plan.waiting)
        stages = _and(dict.fromkeys(escape(item.stage) for item in plan.waiting))
        lines.append(f"This goes ahead of {stages}, asked for with `--force-order`: {behind}.")
    return ["> [!WARNING]\n" + "\n>\n".join(f"> {line}" for line in lines)] if lines else []


def _holds(plan: Plan, holds: Holds) -> list[str]:
    """Write what the tag brings."""
    tag, url = plan.request.tag, f"https://github.com/{holds.repository}"
    if not tag.is_fixed:
        branch = branch_tag(tag)
        where = f"the branch [{escape(branch)}]({url}/tree/{branch})" if branch else code(tag.text)
        return [f"This is a test of {where}, and no release. The release that follows replaces it here."]
    head = f"### What {escape(tag.text)} brings"
    if not holds.since or holds.problem:
        why = prose(holds.problem or "it replaces no earlier release") + "."
        return [head, f"Not shown: {why}"]
    link = f"[{escape(holds.since)} … {escape(tag.text)}]({url}/compare/{holds.since}...{tag.text})"
    if holds.notes is None:
        files = [code(path.rpartition("/")[2].removesuffix(".yaml")) for path in holds.schemas]
        changed = f"Schemas changed: {', '.join(files)}." if files else "No schema of ConsDB changed."
        return [head, f"{changed} Everything: {link}."]
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


def _left(plan: Plan) -> list[str]:
    """Say what does not run the tag afterwards."""
    lines = []
    for later in (False, True):
        places: dict[str, list[Left]] = {}
        for item in plan.left:
            if item.later is later:
                places.setdefault(item.environment, []).append(item)
        for name, items in places.items():
            by_tag: dict[str, list[str]] = {}
            for item in items:
                by_tag.setdefault(item.tag, []).append(item.component)
            everything = [item.component for item in items]
            words = ", ".join(
                f"{escape(', '.join(short_names(parts, everything)))} {code(tag) if tag else 'without a tag'}"
                for tag, parts in by_tag.items()
            )
            lines.append(f"{escape(name)}: {words}" + (" (its turn comes later)" if later else ""))
    return lines


def _checks(plan: Plan, holds: Holds) -> list[str]:
    """List what the reviewer looks at."""
    places = _and(escape(name) for name in dict.fromkeys(change.environment for change in plan.changes))
    lines = []
    if holds.notes is not None and holds.notes.sections:
        sections = _and(code(section) for section, _ in holds.notes.sections)
        lines.append(f"The databases of {places} have the migrations of {sections}")
    if not plan.request.tag.is_fixed:
        lines.append("Argo CD's target revision points at this branch for the test, and back at the end")
    if plan.request.tag.kind is Kind.MAIN:
        lines.append("`main` is meant: it changes without anybody deploying it")
    lines.append(f"Argo CD shows {code(plan.request.app)} at {places} synced and healthy after the merge")
    if plan.request.app == "consdb" and any(change.component == "pq" for change in plan.changes):
        lines.append("pqserver answers queries there")
    if plan.request.app == "consdbtap":
        lines.append("A TAP query sees the new columns")
    return lines


def _and(words: Iterable[str]) -> str:
    """Join words as people do."""
    items = list(words)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
