"""Texts of a copy of EFD schemas: pull request and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from consdb_actions.forms import Public
from consdb_actions.process.facts import EfdCopy, EfdOrigin, EfdSource, efd_mark
from consdb_actions.proposal import ProposalOutcome
from consdb_actions.report.markdown import bullets, code, escape


@dataclass(frozen=True, slots=True)
class EfdReport(Public):
    """A copy and its result."""

    FORMAT: ClassVar[str] = "consdb-actions/process-efd/1"
    PUBLIC: ClassVar[str] = (
        "source=source.name commit=source.commit ticket=source.ticket action=outcome.action done "
        "number=outcome.number url=outcome.url files=copy.files new=copy.new equal=copy.equal "
        "left_out=copy.left_out only_there=copy.only_there"
    )

    source: EfdSource
    copy: EfdCopy
    outcome: ProposalOutcome
    done: bool  # False for a dry run


def copy_title(source: EfdSource) -> str:
    """Return the title of the pull request."""
    return f"{source.ticket}: Copy the schemas of the transformed EFD"


def copy_message(source: EfdSource, copy: EfdCopy) -> str:
    """Return the message of the commit."""
    names = ", ".join(_names(copy))
    return f"{copy_title(source)}\n\n{names} from {source.name} at {source.commit[:12]}."


def copy_body(source: EfdSource, copy: EfdCopy) -> str:
    """Return the body of the pull request, with the marker of its source."""
    what = f"[{escape(source.name)}]({source.url})" if source.url else escape(source.name)
    link = f"https://github.com/{source.repository}/commit/{source.commit}"
    blocks = [
        efd_mark(EfdOrigin(source.name, source.commit)),
        f"The schemas of the transformed EFD are made in {escape(source.repository)}. This copies the "
        f"differing files, from {what} at [{code(source.commit[:8])}]({link}):",
        bullets(f"{code(name)}{' (new)' if name in copy.new else ''}" for name in _names(copy)),
        "Change a schema there, not here: the copy is updated when it changes, unless the file was edited "
        "here. News fragments are not touched.",
    ]
    if copy.only_there:
        names = ", ".join(code(name) for name in copy.only_there)
        blocks.append(f"Only here, and unchanged: {names}.")
    return "\n\n".join(blocks)


def render_text(report: EfdReport) -> str:
    """Render the result for a terminal."""
    source, copy, url = report.source, report.copy, report.outcome.url
    lines = [f"{source.name} at {source.commit[:8]}: {_outcome(report)}{f', {url}' if url else ''}"]
    lines += [f"  {'new' if name in copy.new else 'changed':<9} {name}" for name in _names(copy)]
    lines += [f"  equal     {name}" for name in copy.equal]
    lines += [f"  left out  {name}" for name in copy.left_out]
    lines += [f"  only here {name}" for name in copy.only_there]
    return "\n".join(lines)


def render_markdown(report: EfdReport) -> str:
    """Render the result for a summary."""
    copy, url = report.copy, report.outcome.url
    text = f"### Copy of EFD schemas\n\n{escape(report.source.name)}: {_outcome(report)}"
    text += f" [{escape(url)}]({url})" if url else ""
    return text + (f"\n\n{bullets(code(name) for name in _names(copy))}" if copy.files else "")


def _names(copy: EfdCopy) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in copy.files)


def _outcome(report: EfdReport) -> str:
    action, done = report.outcome.action, report.done
    if not report.copy.files:
        return "nothing differs"
    if action in ("opened", "updated"):
        what = "a pull request" if action == "opened" else "the pull request"
        return f"{what} {'was' if done else 'would be'} {action}"
    return "the pull request is there already"
