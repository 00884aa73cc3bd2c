"""Publish generated revisions as a pull request."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from consdb_actions.adapters.github import GitHub, GitHubError
from consdb_actions.adapters.github.migration_source import (
    TargetRepository,
    config_of,
    read_inputs,
    read_source,
    read_stack,
)
from consdb_actions.adapters.github.proposals import Proposals
from consdb_actions.adapters.github.pull_requests import CommentWriter
from consdb_actions.adapters.result_directory import read_result
from consdb_actions.adapters.runner import Runner
from consdb_actions.approval.plan import Part
from consdb_actions.commands.migrations import asked_for, source_options
from consdb_actions.commands.options import (
    FOLDER,
    commit_id,
    examples,
    format_option,
    github_session,
    option,
    repository_name,
    target_option,
)
from consdb_actions.commands.terminal import present
from consdb_actions.errors import CheckFailed, ExternalError, InputError
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.proposal import Proposal, PullSeen, blob_sha
from consdb_actions.publication.plan import (
    BranchFiles,
    Publication,
    Rebase,
    Stack,
    TargetPull,
    find_pull,
    find_rebases,
    find_withdrawn,
    is_untouched,
    may_reopen,
    plan_files,
)
from consdb_actions.publication.result import TargetSection, check_result, join_outcomes
from consdb_actions.publication.source import (
    Inputs,
    Marker,
    Names,
    RequestedMigration,
    SchemaSource,
    decide_request,
    name_migration,
)
from consdb_actions.report.markdown import COMMENT_LIMIT
from consdb_actions.report.publication import (
    render_comment,
    render_publication_text,
    render_pull,
    render_rebases,
)

EDITED = "These files were edited manually and are unchanged."


def tell_rebases(
    github: GitHub, target: TargetRepository, number: int, rebases: Sequence[Rebase], why: str
) -> None:
    """Comment on a pull request of the target which `down_revision` to change, or that none is needed."""
    text = render_rebases(rebases, why)
    CommentWriter(github, target.repository).settle(number, Part.REBASE, text, create=bool(rebases))


def tell_left_behind(
    github: GitHub, target: TargetRepository, pull: TargetPull, reference: str, base: str
) -> tuple[Rebase, ...]:
    """Comment the same on a pull request that could not be regenerated after another merge."""
    if pull.marker is None:
        return ()
    tip = target.tip(target.default_branch())
    revisions = target.revisions(tip)
    folders = {
        section.name: section.folder
        for section in target.sections(tip)
        if any(path.startswith(f"{section.folder}/") for path in pull.marker.files)
    }
    inside = tuple(f"{folder}/versions/" for folder in folders.values())
    if not target.merged_since(pull.marker.target, revisions, inside):
        return ()
    present = target.present(base, pull.branch) or BranchFiles()
    newest = {name: target.newest(revisions, folder) for name, folder in folders.items()}
    rebases = find_rebases(present.files, folders, {name: sha for name, sha in newest.items() if sha})
    why = f"They could not be regenerated; see the comment on {reference}."
    tell_rebases(github, target, pull.number, rebases, why)
    return rebases


_DEFAULT_ACCOUNT = "github-actions[bot]"

_NO_CHECKS = (
    "GitHub starts no checks on a pull request that a workflow's own token opened. Close and reopen it to "
    "start them, or give the workflow the token of an app."
)

_LATER = "The next run by schedule tries again."

_REMOVE = "Remove it to have the revision generated, or remove the label to keep it."


@dataclass(frozen=True)
class MigrationPublisher:
    """Publishes the result of the generating job for one schema change."""

    schemas: GitHub  # The two repositories may need different tokens
    migrations: GitHub
    repository: str
    target: str
    label: str  # Requests a migration
    target_label: str  # Marks pull requests with migrations
    run_url: str = ""  # Empty off a runner

    def run(self, asked: RequestedMigration, inputs: Inputs, result: Path | None) -> Publication:
        """Publish, withdraw, or return why nothing is done."""
        source = read_source(self.schemas, self.repository, asked)
        stack = read_stack(self.schemas, source, self.label)
        request = decide_request(replace(asked, commit=""), source, self.label, stack.holder)
        case = self._case(asked, source, inputs, stack, request.reason)
        if request.action == "withdraw":
            done = case.withdraw()
        elif request.action == "held" and stack.holder is not None:
            done = case.held(stack.holder)
        elif request.action == "generate" and inputs.commit != source.commit:
            done = case.moved()
        elif request.action == "generate" and result is not None:
            done = case.publish(result)
        elif request.action == "generate":
            done = case.conflict()
        else:
            done = case.so_far
        if done.state in ("question", "failed", "error", "conflict"):
            done = case.left_behind(done)
        done = self._comment(replace(done, run_url=self.run_url))
        is_current = request.action == "generate" and done.state != "moved"
        return self._hold(done, stack) if is_current else done

    def _case(
        self, asked: RequestedMigration, source: SchemaSource, inputs: Inputs, stack: Stack, reason: str
    ) -> _Case:
        patterns = config_of(self.schemas, source).ticket_patterns
        names = name_migration(source.branch, source.title, patterns, place=source.reference)
        so_far = Publication("nothing", source, inputs.commit, reason, inputs=inputs)
        return _Case(self, asked, source, names, stack, so_far)

    def _hold(self, done: Publication, stack: Stack) -> Publication:
        words = done.text
        for pull in stack.below:
            if not pull.has_label(self.label):
                continue
            source = replace(done.source, branch=pull.branch, commit=pull.head, pull=pull)
            try:
                theirs = read_stack(self.schemas, source, self.label)
                request = decide_request(RequestedMigration(pull.number), source, self.label, theirs.holder)
                if theirs.holder is None or theirs.holder.number != (done.source.pull or pull).number:
                    continue
                case = self._case(
                    RequestedMigration(pull.number), source, Inputs(pull.head), theirs, request.reason
                )
                self._comment(replace(case.held(theirs.holder), run_url=self.run_url))
            except (CheckFailed, ExternalError, InputError) as error:
                words = (*words, f"{source.reference} could not be notified: {error.cause}. {error.remedy}")
        return replace(done, text=words)

    def _comment(self, done: Publication) -> Publication:
        """Comment on the schema change; a failure does not undo the publication."""
        pull = done.source.pull
        if pull is None or done.state == "nothing":
            return done
        writer = CommentWriter(self.schemas, self.repository)
        create = done.state not in ("withdrawn", "moved")
        try:
            writer.settle(pull.number, Part.MIGRATION, render_comment(done), create=create)
            why = writer.refusal
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            why = f"{error.cause}. {error.remedy}"
        text = f"No comment could be written on {done.source.reference}: {why}"
        return replace(done, text=(*done.text, text)) if why else done


class _Case:
    """One schema change in progress; ``so_far`` is its outcome so far."""

    def __init__(
        self,
        publisher: MigrationPublisher,
        asked: RequestedMigration,
        source: SchemaSource,
        names: Names,
        stack: Stack,
        so_far: Publication,
    ) -> None:
        self._publisher = publisher
        self._asked = asked
        self._source = source
        self._names = names
        self._stack = stack
        self.so_far = so_far
        self._target = TargetRepository(publisher.migrations, publisher.target)

    def moved(self) -> Publication:
        text = (
            f"This was generated for commit {self.so_far.commit[:12]}, and the branch is now at "
            f"{self._source.commit[:12]}. Nothing was published. The run for the newest commit replaces "
            f"this; where none comes, remove the label “{self._publisher.label}” and add it again."
        )
        return replace(self.so_far, state="moved", text=(text,))

    def conflict(self) -> Publication:
        """Report that the change conflicts with its base branch."""
        why = read_inputs(self._publisher.schemas, self._source).conflict or "It can be merged by now."
        return replace(self.so_far, state="conflict", text=(why, _LATER))

    def held(self, holder: PullSeen) -> Publication:
        """Withdraw the change's own migration, because another one contains it."""
        done = self.withdraw()
        reference = f"{self._source.repository}#{holder.number}".casefold()
        pulls = self._target.open_pulls()
        pull = next((p for p in pulls if p.marker and p.marker.source.casefold() == reference), None)
        return replace(done, state="held", pull=pull)

    def publish(self, folder: Path) -> Publication:
        handed = read_result(folder)
        if handed.logs:
            return replace(self.so_far, state="error", log="\n".join(handed.logs))
        tip = self._target.tip(self._target.default_branch())
        sections = self._target.sections(tip)
        outcome = join_outcomes(handed.outcomes, [section.name for section in sections])
        self.so_far = replace(self.so_far, outcome=outcome)
        if outcome.verdict == "unchanged":
            done = self.withdraw()
            return replace(done, state="unchanged", text=done.text[1:])
        if outcome.verdict != "changed":
            return replace(self.so_far, state=outcome.verdict, pull=self._pull())
        revisions = self._target.revisions(tip)
        accepted = check_result(handed.files, outcome, sections, revisions)
        folders = tuple(f"{section.folder}/versions/" for section in sections if section.name in accepted)
        if merged := self._target.merged_since(self.so_far.inputs.target, revisions, folders):
            text = (
                f"{merged} was merged while this was generated, so that its revision would not be the newest."
            )
            return replace(self.so_far, state="moved", text=(text, _LATER))
        if self._base() == self._source.branch:
            self._leave_out(accepted, sections, revisions)
        if not accepted:
            return replace(self.so_far, state="unchanged")
        return self._propose(sections, outcome, accepted)

    def _leave_out(
        self,
        accepted: dict[str, dict[str, bytes]],
        sections: Sequence[TargetSection],
        revisions: Mapping[str, str],
    ) -> None:
        """Remove the sections of which the branch already has a revision."""
        there = self._target.revisions(self._source.commit).keys() - revisions.keys()
        for section in sections:
            added = {path for path in there if path.startswith(f"{section.folder}/versions/")}
            if section.name not in accepted or not added:
                continue
            text = f"The branch has the revision of {section.name}."
            if others := sorted(added - accepted.pop(section.name).keys()):
                text = f"The branch has another revision of {section.name}, {', '.join(others)}. {_REMOVE}"
            self.so_far = replace(self.so_far, text=(*self.so_far.text, text))

    def _propose(
        self,
        sections: Sequence[TargetSection],
        outcome: RunOutcome,
        accepted: Mapping[str, Mapping[str, bytes]],
    ) -> Publication:
        base, pull = self._base(), self._pull()
        generated = {path: data for files in accepted.values() for path, data in files.items()}
        wanted = self._proposal(base, pull, generated)
        proposals = Proposals(self._publisher.migrations)
        theirs = proposals.plan(wanted).kept if pull is not None else ()
        present = (self._target.present(base, wanted.branch, theirs) if theirs else None) or BranchFiles()
        files, kept = plan_files(accepted, present, sections)
        ours = {path: blob_sha(data) for path, data in files.items() if path in generated}
        also = {f"{self._source.repository}#{below.number}": below.head for below in self._stack.below}
        inputs = self.so_far.inputs
        marker = Marker(self._source.reference, self._source.commit, ours, inputs.base, inputs.target, also)
        body = render_pull(self._source, self._names.ticket, outcome, marker, kept)
        made = proposals.publish(replace(wanted, files=files, body=body))
        if made.number is None:
            text = f"{self._target.repository} has these revisions already."
            return replace(self.so_far, state="unchanged", text=(*self.so_far.text, text))
        shown = TargetPull(made.number, made.url, wanted.branch, author=self._own(), body=body)
        told = (_NO_CHECKS,) if self._own() == _DEFAULT_ACCOUNT else ()
        edited = {item.section for item in kept}
        folders = {section.name: section.folder for section in sections if section.name in edited}
        newest = {section.name: section.down_revision for section in outcome.changed}
        rebases = find_rebases(present.files, folders, newest)
        if pull is not None:
            tell_rebases(self._publisher.migrations, self._target, made.number, rebases, EDITED)
        told = (*self.so_far.text, *told, *(rebase.text for rebase in rebases))
        return replace(self.so_far, state="published", pull=shown, action=made.action, kept=kept, text=told)

    def _proposal(self, base: str, pull: TargetPull | None, files: Mapping[str, bytes]) -> Proposal:
        branch = pull.branch if pull is not None else self._names.branch
        again = self._asked.action in ("", "labeled")
        title, source = self._names.title, self._source
        return Proposal(
            repository=self._target.repository,
            base=base,
            branch=branch,
            files=files,
            message=f"{title}\n\nGenerated for {source.reference} at {source.commit}.",
            title=title,
            body="",
            draft=True,
            labels=(self._publisher.target_label,),
            # On a branch without a pull request of ours, nothing of anybody's is touched.
            keep=("*",) if pull is not None else (),
            reopen=pull is None and may_reopen(self._target.closed_pulls(branch), asked_again=again),
        )

    def left_behind(self, done: Publication) -> Publication:
        """Comment that a pull request could not be regenerated and must not be merged."""
        pull = self._pull()
        if pull is None:
            return done
        reference = self._source.reference
        rebases = tell_left_behind(self._publisher.migrations, self._target, pull, reference, self._base())
        return replace(done, text=(*done.text, *(rebase.text for rebase in rebases)))

    def withdraw(self) -> Publication:
        """Close the pull request of an unneeded migration, unless it was edited."""
        done, why = replace(self.so_far, state="withdrawn"), (self.so_far.reason,)
        pull = self._pull() or find_withdrawn(self._target.closed_pulls(self._names.branch), self._source)
        if pull is None:
            return replace(done, text=why)
        which = f"Pull request {pull.number} of {self._target.repository}"
        present = self._target.present(self._base(), pull.branch)
        if present is not None and not is_untouched(pull, present):
            if not pull.is_open:
                return replace(done, text=why)
            left = f"{which} stays open, because its files were edited."
            return replace(done, pull=pull, action="left open", text=(*why, left))
        self._target.close(pull)
        closed = f"{which} was closed, and its branch deleted."
        return replace(done, pull=pull, action="closed", text=(*why, closed))

    def _base(self) -> str:
        """Return the branch that the migration is proposed to.

        A change of the target itself (the configuration of the EFD, with the schema made from it) gets its
        revision on its own branch.
        """
        pull, target = self._source.pull, self._target
        is_own = self._source.repository.casefold() == target.repository.casefold()
        return self._source.branch if is_own and pull and not pull.from_fork else target.default_branch()

    def _pull(self) -> TargetPull | None:
        return find_pull(self._target.open_pulls(), self._source, self._names.branch, self._own())

    def _own(self) -> str:
        return self._publisher.migrations.viewer()


_EXIT = {"question": 1, "failed": 1, "error": 1, "conflict": 1}


@click.command(
    "publish",
    epilog=examples(
        "migrations publish --pr 123 --result result --generated-for 0123abc",
    ),
)
@source_options
@option(
    "--generated-for",
    required=True,
    metavar="SHA",
    help="Commit of the change for which the result was generated.",
)
@option(
    "--result",
    type=FOLDER,
    help="Folder with report.json and the files, or with such folders; without it, migrations are only "
    "withdrawn.",
)
@option(
    "--schemas-base",
    default="",
    metavar="SHA",
    help="Commit of the schemas that the change was compared with.",
)
@option(
    "--target-commit",
    default="",
    metavar="SHA",
    help="Commit of the target on which it was generated: with a newer revision nothing is published.",
)
@target_option
@option(
    "--target-label",
    default="migration",
    metavar="NAME",
    help="Label of the pull request with the migration.",
)
@format_option()
def command(
    repo: str | None,
    pr: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    label: str,
    regenerate: bool,
    generated_for: str,
    schemas_base: str,
    target_commit: str,
    result: Path | None,
    target: str,
    target_label: str,
    output_format: str,
) -> int:
    """Open or update the draft pull request with generated migrations, or withdraw it.

    Nothing of the result is run. It must hold revisions of the target's sections that are plain operations,
    and reports about exactly these. CONSDB_TARGET_TOKEN is the token for the repository of migrations,
    CONSDB_SOURCE_TOKEN the one for the repository of schemas; each is GITHUB_TOKEN where it is not set.
    """
    inputs = Inputs(
        commit_id(generated_for, "--generated-for"),
        base=commit_id(schemas_base, "--schemas-base") if schemas_base else "",
        target=commit_id(target_commit, "--target-commit") if target_commit else "",
    )
    asked = asked_for(pr, branch, commit, event, event_name, regenerate=regenerate)
    runner = Runner.from_environ(os.environ)
    if runner.on_runner and not os.environ.get("CONSDB_TARGET_TOKEN", "").strip():
        # The workflow's own token is good for the repository in which it runs, and starts no checks there.
        raise InputError(
            f"there is no token for {target[:150]}",
            remedy="Give the workflow an app (CONSDB_APP_CLIENT_ID and CONSDB_APP_PRIVATE_KEY) or "
            "CONSDB_TARGET_TOKEN; docs/adopt.md says with which permissions.",
        )
    with (
        github_session(variable="CONSDB_SOURCE_TOKEN") as schemas,
        github_session(variable="CONSDB_TARGET_TOKEN") as migrations,
    ):
        done = MigrationPublisher(
            schemas,
            migrations,
            repository_name(repo),
            repository_name(target, option="--target"),
            label,
            target_label,
            _run_url(),
        ).run(asked, inputs, result)
    _show(done, output_format, runner)
    return _EXIT.get(done.state, 0)


def _show(done: Publication, output_format: str, runner: Runner) -> None:
    number, url = (str(done.pull.number), done.pull.url) if done.pull is not None else ("", "")
    outputs = {"state": done.state, "pull-request": number, "url": url}
    text = render_publication_text(done)
    markdown = render_comment(done, limit=COMMENT_LIMIT)
    present(output_format, done, lambda: text, markdown, outputs)
    level = "warning" if done.text or done.kept else "notice"
    if done.state in _EXIT:
        level = "error"
    runner.annotation(level, text, title="Migration")  # type: ignore[arg-type]


def _run_url() -> str:
    """Return the page of this run; empty where there is none."""
    server, repository = os.environ.get("GITHUB_SERVER_URL", ""), os.environ.get("GITHUB_REPOSITORY", "")
    run = os.environ.get("GITHUB_RUN_ID", "")
    if not re.fullmatch(r"https://[a-z0-9.-]+", server) or not run.isdigit() or "/" not in repository:
        return ""
    return f"{server}/{repository}/actions/runs/{run}"
