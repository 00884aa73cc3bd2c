"""``consdb-actions process efd-sync``: copy changed EFD schemas from consdb into a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import (
    FILE,
    PullNumber,
    examples,
    format_option,
    max_calls_option,
    option,
)
from consdb_actions.commands.terminal import present
from consdb_actions.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from consdb_actions.config import Config
    from consdb_actions.process.efd import EfdCopy, EfdSource
    from consdb_actions.proposal import ProposalOutcome


@click.command(
    "efd-sync",
    short_help="Copy changed EFD schemas from consdb into a pull request.",
    epilog=examples(
        "process efd-sync --repo lsst/sdm_schemas --consdb-pr 45 --dry-run",
    ),
)
@option("--repo", metavar="OWNER/NAME", help="Repository of the schemas; GITHUB_REPOSITORY by default.")
@option(
    "--consdb-pr",
    type=PullNumber(),
    metavar="N",
    help="Pull request in consdb that changes EFD schemas; by default the newest one that was merged.",
)
@option("--ticket", metavar="KEY", help="The ticket, where the pull request does not name it.")
@option("--config", type=FILE, help="Configuration to use instead of the one on the default branch.")
@option(
    "--reopen", is_flag=True, help="Open a new pull request where the last one was closed without merging."
)
@option("--dry-run", is_flag=True, help="Show the copy without making it.")
@max_calls_option()
@format_option()
def command(
    repo: str | None,
    consdb_pr: int | None,
    ticket: str | None,
    config: Path | None,
    reopen: bool,
    dry_run: bool,
    max_calls: int,
    output_format: str,
) -> int:
    """Copy the schemas of the transformed EFD that differ, from consdb into one pull request per ticket.

    Nothing is removed, and no branch is ever forced: if a copied schema was edited on the branch, the run
    stops and shows the difference. Exit code 0 if the pull request exists, or if nothing differs.
    """
    from consdb_actions.adapters.github.contents import read_config
    from consdb_actions.adapters.github.process_facts import EfdReader
    from consdb_actions.adapters.github.proposals import Proposals
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.commands.connection import github_session, repository_name
    from consdb_actions.process.efd import branch_of
    from consdb_actions.proposal import Proposal, ProposalOutcome
    from consdb_actions.report.process_efd import copy_body, copy_message, copy_title

    repository = repository_name(repo)
    given = load_config(config) if config is not None else None
    with github_session(max_calls) as github:
        base_name = github.default_branch(repository)
        base = github.tip(repository, base_name)
        settings = given or read_config(github, repository, base_name, base)
        policy = settings.process_policy
        reader = EfdReader(github, policy, repository)
        source, changed = reader.source(consdb_pr, _ticket(ticket, settings))
        copy = reader.copy(source, changed, base)
        if not copy.files:
            return _tell(source, copy, ProposalOutcome("nothing"), output_format)
        if not source.ticket:
            raise InputError(
                "no ticket is named", remedy="Give --ticket KEY, or --consdb-pr N for one that names it."
            )
        proposal = Proposal(
            repository=repository,
            base=base_name,
            branch=branch_of(source.ticket),
            files={path: _checked(path, reader.bytes_of(blob)) for path, blob in copy.files.items()},
            message=copy_message(source, copy),
            title=copy_title(source),
            body=copy_body(source, copy),
            labels=policy.efd.labels,
            keep=policy.efd.keep,
            reopen=reopen,
        )
        proposals = Proposals(github)
        if dry_run:
            return _tell(
                source, copy, ProposalOutcome(proposals.plan(proposal).action), output_format, done=False
            )
        return _tell(source, copy, proposals.publish(proposal), output_format)


def _ticket(text: str | None, config: Config) -> str:
    if text and not config.is_ticket(text):
        raise InputError(
            f'"{text[:100]}" is not a ticket',
            place="--ticket",
            remedy=f"Tickets look like {config.ticket_examples}.",
        )
    return text or ""


def _checked(path: str, data: bytes) -> bytes:
    """Return the bytes of a file after parsing it as a schema."""
    from consdb_actions.adapters.schema_yaml import read_yaml

    try:
        read_yaml(data, source=path)
    except InputError as error:
        raise CheckFailed(
            f"it is not a valid schema, so it is not copied: {error.cause}",
            place=path,
            remedy="Correct it in consdb, and run this again.",
        ) from error
    return data


def _tell(
    source: EfdSource, copy: EfdCopy, outcome: ProposalOutcome, output_format: str, *, done: bool = True
) -> int:
    from consdb_actions.forms import as_json
    from consdb_actions.report.process_efd import EfdReport, render_markdown, render_text

    report = EfdReport(source, copy, outcome, done)
    present(
        output_format,
        lambda: render_text(report),
        lambda: as_json(report),
        render_markdown(report),
        {"action": outcome.action, "number": str(outcome.number or ""), "url": outcome.url},
    )
    return 0
