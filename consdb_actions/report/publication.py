"""Texts of pull requests with migrations or copied EFD schemas: body, comment, summary (rule S5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from consdb_actions.approval.plan import SECTION_ROOM, Part
from consdb_actions.forms import Public
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.process.facts import EfdCopy, EfdOrigin, EfdSource, efd_mark
from consdb_actions.proposal import ProposalOutcome
from consdb_actions.publication.plan import EditedFile, Publication, Rebase
from consdb_actions.publication.source import Marker, SchemaSource
from consdb_actions.redaction import redact
from consdb_actions.report.generation import headline, render_markdown, render_operations
from consdb_actions.report.markdown import COMMENT_LIMIT, bullets, code, details, escape, fence, fit, table

_ROOM = 2_000  # Characters reserved for the text around the report
_SHOWN = 12_000  # Maximum shown length of a difference in characters


def render_pull(
    source: SchemaSource, ticket: str, outcome: RunOutcome, marker: Marker, kept: tuple[EditedFile, ...] = ()
) -> str:
    """Render the pull request of a migration: source, report, marker, and kept edits."""
    what = f"{escape(source.repository)}, branch {code(source.branch)}"
    if source.pull is not None:
        what = f"[{escape(source.repository)}#{source.pull.number}]({source.pull.url})"
    head = [
        str(marker),
        f"The migration of {what} at {code(marker.sha[:12])}, for {escape(ticket)}. It is regenerated "
        f"when that changes; files that were edited here are kept.",
    ]
    if marker.also:
        names = ", ".join(escape(name) for name in marker.also)
        head.append(f"Its branch contains the commits of {names}, so this contains their changes, too.")
    head += _kept(kept)
    foot = (
        "**For the reviewer:** the scripts and the checks are below. Check what is lost and what can go "
        "wrong; run them at the test stand; then mark this as ready for review."
    )
    room = COMMENT_LIMIT - _ROOM - sum(len(part) for part in head)
    return "\n\n".join([*head, foot, render_markdown(outcome, limit=room)])


def render_rebases(rebases: Sequence[Rebase], why: str) -> str:
    """Render the comment on a migration that needs a manual rebase."""
    if not rebases:
        return (
            "### Every revision here follows the newest one of its section\n\nThere is nothing to change.\n"
        )
    steps = [
        f"- {code(item.path)}: change `down_revision` from {code(item.old)} to {code(item.new)}, the newest "
        f"revision of {code(item.section)}, and the line `Revises:` of its docstring."
        for item in rebases
    ]
    text = (
        "### Another revision was merged\n\n**Do not merge this yet:** its sections would have two "
        f"heads. {escape(why)} To continue manually, merge the base branch into this one, check that the "
        f"files are still correct, and change:"
    )
    return fit([text, *steps], "- and {count} more", limit=SECTION_ROOM[Part.REBASE])


def render_comment(publication: Publication, *, limit: int = SECTION_ROOM[Part.MIGRATION]) -> str:
    """Render the section of the comment on the schema change: verdict first, details folded."""
    foot = f"For commit {code(publication.commit[:12])}"
    if publication.run_url:
        foot += f" · [the run]({publication.run_url})"
    # The marker comes first, so that nothing that is shown can stand for it.
    head = f"{publication.marker}\n\n### Migration: {_verdict(publication)}"
    foot = f"<sub>{foot}</sub>"
    parts = [*map(escape, publication.text), *_kept(publication.kept)]
    outcome = publication.outcome
    if outcome is not None and publication.state in ("question", "failed"):
        answer = _how_to_answer(publication)
        room = limit - sum(len(part) + 2 for part in (head, *parts, answer, foot))
        parts += [render_markdown(outcome, limit=max(room, 0), in_comment=True).strip(), answer]
    elif outcome is not None and outcome.changed:
        parts.append(_sections(outcome))
        parts += [f"{code(s.name)}:\n\n{render_operations(s.upgrade)}" for s in outcome.changed]
    if publication.log.strip():
        # The end of the generator's output, without workflow commands.
        lines = [line for line in redact(publication.log).splitlines() if not line.lstrip().startswith("::")]
        parts.append(fence(_cut("\n".join(lines[-40:])), "text"))
    note = "*{count} more parts did not fit; the summary of the run has them.*"
    shown = fit([part for part in parts if part], note, limit=limit - len(head) - len(foot) - 4)
    return "\n\n".join(part for part in (head, shown, foot) if part) + "\n"


def _verdict(publication: Publication) -> str:
    pull = publication.pull
    link = f"[{escape(pull.branch)}]({pull.url})" if pull is not None else ""
    match publication.state:
        case "published":
            assert pull is not None
            assert publication.outcome is not None
            return f"{link}: {escape(headline(publication.outcome))}"
        case "unchanged":
            changed = publication.outcome.changed if publication.outcome else ()
            return (
                "there is nothing to propose"
                if changed
                else "none is needed, since no section's database would change"
            )
        case "question":
            return "a question is unanswered"
        case "failed":
            return "verification fails"
        case "error":
            return "it could not be generated"
        case "withdrawn":
            return "withdrawn"
        case "moved":
            return "out of date"
        case "conflict":
            return "it waits until this can be merged into its base branch"
        case "held":
            return f"held by {link or 'that of another pull request'}"
        case "nothing":
            return "nothing to do"


def _how_to_answer(publication: Publication) -> str:
    if publication.state != "question":
        return ""
    return (
        "To answer, put a line such as `consdb: rename TABLE.OLD=NEW` or `consdb: take head TABLE.COLUMN` "
        "into the text of this pull request, or write `/consdb rename …` or `/consdb take …` in a comment."
    )


def _sections(outcome: RunOutcome) -> str:
    rows = []
    for section in outcome.changed:
        lost = sum(1 for loss in section.losses if loss.direction == "upgrade")
        rows.append(
            [
                code(section.name, in_table=True),
                str(len(section.upgrade)),
                str(lost) if lost else "",
                str(len(section.risks)) if section.risks else "",
            ]
        )
    return table(["section", "operations", "data loss", "risks"], rows)


def _kept(kept: tuple[EditedFile, ...]) -> list[str]:
    if not kept:
        return []
    text = (
        "**Edited manually and unchanged:** "
        + ", ".join(code(item.path) for item in kept)
        + ". Check that the edit is still correct; to have the file regenerated, revert the commit."
    )
    shown = [
        details(
            f"How {escape(item.path)} differs from what would be generated now",
            fence(_cut(redact(item.difference)), "diff"),
        )
        for item in kept
        if item.difference
    ]
    return [text, *shown[:4]]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}\n… and more"


def render_publication_text(publication: Publication) -> str:
    """Render the result for a terminal."""
    where = f": {publication.pull.url}" if publication.pull is not None else ""
    return "\n  ".join(
        [
            f"{publication.source.reference} at {publication.commit[:12]}: {publication.state}{where}",
            *filter(None, (publication.action, publication.reason)),
            *publication.text,
            *(f"unchanged, edited manually: {item.path}" for item in publication.kept),
        ]
    )


def render_request_markdown(reason: str) -> str:
    """Render the reason of an action for a run's summary."""
    return f"### Migration\n\n{bullets([escape(reason)])}\n"


def render_outdated_markdown(lines: Sequence[str]) -> str:
    """List migrations to regenerate, with reasons, for the summary of a run."""
    return f"### Migrations to regenerate\n\n{bullets(map(escape, lines)) or 'None.'}\n"


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


def render_copy_text(report: EfdReport) -> str:
    """Render the result for a terminal."""
    source, copy, url = report.source, report.copy, report.outcome.url
    lines = [f"{source.name} at {source.commit[:8]}: {_outcome(report)}{f', {url}' if url else ''}"]
    lines += [f"  {'new' if name in copy.new else 'changed':<9} {name}" for name in _names(copy)]
    lines += [f"  equal     {name}" for name in copy.equal]
    lines += [f"  left out  {name}" for name in copy.left_out]
    lines += [f"  only here {name}" for name in copy.only_there]
    return "\n".join(lines)


def render_copy_markdown(report: EfdReport) -> str:
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
