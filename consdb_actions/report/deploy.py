"""Reports of a deployment for a terminal, as JSON and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consdb_actions.deploy.model import Plan
from consdb_actions.deploy.order import waiting_words
from consdb_actions.proposal import Action
from consdb_actions.report.deploy_pull import changes_table
from consdb_actions.report.markdown import code, escape, printable, prose

__all__ = ["FORMAT", "Shown", "render_json", "render_markdown", "render_text"]

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

    plan: Plan | None  # None if there is nothing to repin
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


def _plan_json(plan: Plan) -> dict[str, Any]:
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
