"""``consdb-actions deploy``: what runs where, and the pull requests that change it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import (
    FILE,
    FOLDER,
    examples,
    format_option,
    github_session,
    moment_or_now,
    option,
    registry_option,
    repository_name,
    together,
)
from consdb_actions.commands.terminal import paint, present, progress_display
from consdb_actions.deploy.drift import Severity
from consdb_actions.deploy.model import APPS
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.config import Config
    from consdb_actions.deploy.model import DeployPolicy, DeployRequest
    from consdb_actions.report.deploy import DeploymentReport

_TICKET = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}-[0-9]{1,9}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@click.group()
def group() -> None:
    """Deploy releases, and show what runs where.

    Stages, environments and what may run where are the section "deploy" of .github/consdb-actions.yaml.
    The token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """


_config = option(
    "--config", type=FILE, help="Configuration; .github/consdb-actions.yaml of this folder by default."
)
_repo = option(
    "--repo", metavar="OWNER/NAME", help="Repository of the values files; lsst-sqre/phalanx by default."
)
_now = option("--now", metavar="ISO", help="Time to use as now; only its day in UTC matters.")


_deployment = together(
    _repo,
    option("--app", type=click.Choice(APPS), default="consdb", help="Application."),
    option("--stage", metavar="NAME", help="Stage: all of its environments that have the application."),
    option(
        "--env",
        "environments",
        multiple=True,
        metavar="NAME",
        help="Environment, in place of a whole stage; may be repeated, within one stage.",
    ),
    option(
        "--component",
        "components",
        multiple=True,
        metavar="NAME",
        help="hinfo, hinfo.INSTRUMENT, pq, tap-schema or datalink; may be repeated. All by default.",
    ),
    option("--tag", metavar="TAG", help="Tag to deploy: a release, or a branch such as tickets-DM-12345."),
    option("--ticket", metavar="KEY", help="Ticket of the pull request, such as DM-12345."),
    option(
        "--repin",
        is_flag=True,
        help="For consdbtap: replace a ticket image by the first weekly tag of sdm_schemas that "
        "contains the ticket's merge, with its datalink snippets. Tag and ticket follow from the "
        "image; without --stage and --env, it is the first stage that has one.",
    ),
    option(
        "--waive-until",
        metavar="DATE",
        help="Last day on which a tag that is not a release may stay where only releases run.",
    ),
    option(
        "--force-order",
        is_flag=True,
        help="Skip unfinished stages; recorded in the pull request.",
    ),
    option(
        "--reopen",
        is_flag=True,
        help="Open a new pull request although the last one was closed without merging.",
    ),
    registry_option,
    _now,
    _config,
    format_option(),
)


_phalanx = option(
    "--phalanx", type=FOLDER, help="Checkout or bare clone of the values files; no token is needed."
)
_consdb = option("--consdb", type=FOLDER, help="Clone of consdb, whose tags say which releases there are.")


@group.command(
    "plan",
    short_help="Show what a deployment would change.",
    epilog=examples(
        "deploy plan --phalanx ../phalanx --consdb ../consdb --stage summit --tag 26.6.2 --ticket DM-12345",
        "deploy plan --stage usdf --tag 26.6.2 --ticket DM-12345",
    ),
)
@_phalanx
@_consdb
@_deployment
def plan_command(**options: Any) -> int:
    """Show what a deployment would change, and whether it is allowed. Nothing is changed.

    The exit code is 1 where it is refused: an image that does not exist, a tag that may not run there, an
    earlier stage that is not finished. With --phalanx it works on a clone, without network access.
    """
    return _deploy(options, write=False)


@group.command(
    "open",
    short_help="Open or update the pull request of a deployment.",
    epilog=examples(
        "deploy open --stage test-stands --tag 26.6.2 --ticket DM-12345",
        "deploy open --app consdbtap --repin",
    ),
)
@_deployment
def open_command(**options: Any) -> int:
    """Open or update the pull request of a deployment.

    There is one for each ticket, application and stage, created over the API without a clone. A branch with
    manual changes is not overwritten, and the difference is shown. A refused deployment is not opened.
    """
    return _deploy({**options, "phalanx": None, "consdb": None}, write=True)


@group.command(
    "drift",
    short_help="Show what runs where, and what has drifted.",
    epilog=examples(
        "deploy drift --phalanx ../phalanx --consdb ../consdb",
        "deploy drift --repo lsst-sqre/phalanx --level warning",
    ),
)
@_phalanx
@_consdb
@_repo
@option("--ref", metavar="REV", help="Commit or branch to read instead of the work tree.")
@option("--release", metavar="TAG", help="Newest release of consdb; from its tags by default.")
@option(
    "--level",
    type=click.Choice([severity.word for severity in reversed(Severity)]),
    default="error",
    help="Exit with 1 if there are findings of at least this severity.",
)
@_now
@_config
@format_option()
def drift_command(
    phalanx: Path | None,
    consdb: Path | None,
    repo: str | None,
    ref: str | None,
    release: str | None,
    level: str,
    now: str | None,
    config: Path | None,
    output_format: str,
) -> int:
    """Show what runs where, since when, and what has drifted from the newest release or from one another.

    Environments are compared with the newest release: that of --repo's tags or of --consdb, else the newest
    that is in use. Days are counted from the history; in a folder without one, or in a shallow clone, they
    are left out.
    """
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.commands.deployment import look, newest_release
    from consdb_actions.report.deploy import render_drift_markdown, render_drift_text

    if (phalanx is None) == (repo is None):
        raise InputError(
            "the source of the values files is missing or given twice",
            remedy="Give either --phalanx DIR or --repo OWNER/NAME.",
        )
    policy = _policy(load_config(config), repo)
    today = moment_or_now(now).astimezone(UTC).date()
    given = newest_release(release)
    with progress_display(output_format) as progress:
        if phalanx is not None:
            drift, _ = look(phalanx, policy, ref, today, given, consdb, progress)
        else:
            with github_session() as github:
                drift, _ = look(github, policy, ref, today, given, consdb, progress)
    present(
        output_format,
        drift,
        lambda: render_drift_text(drift, paint),
        render_drift_markdown(drift),
        {"findings": str(len(drift.findings)), "errors": str(len(drift.at_least(Severity.ERROR)))},
    )
    return 1 if drift.at_least(Severity[level.upper()]) else 0


def _deploy(options: dict[str, Any], *, write: bool) -> int:
    from consdb_actions.adapters.registry import Registry
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.commands.deployment import Deployer, plan_locally, release_tags, values_source
    from consdb_actions.deploy.plan import check_request

    config = load_config(options["config"])
    policy = _policy(config, options["repo"])
    asked = _asked(options, config)
    check_request(policy, asked)
    if options["phalanx"] is not None:
        if asked.repin:
            raise InputError("--repin needs the API, not a clone", place="--repin", remedy="Omit --phalanx.")
        source, name = values_source(options["phalanx"], policy, None, asked.today)
        tags = release_tags(options["consdb"]) if options["consdb"] is not None else None
        return _show_deployment(plan_locally(source, name, policy, asked, tags), options, write=write)
    with github_session() as github, Registry(options["registry_url"]) as registry:
        deployer = Deployer(
            github,
            registry,
            policy,
            config.release,
            config.ticket_patterns,
        )
        shown = deployer.run(asked, write=write)
    return _show_deployment(shown, options, write=write)


def _show_deployment(shown: DeploymentReport, options: dict[str, Any], *, write: bool) -> int:
    from consdb_actions.commands.deployment import refusal
    from consdb_actions.report import deploy as report

    refused = shown.plan is not None and bool(shown.plan.refusals)
    if refused and write and options["output_format"] == "text":
        options = {**options, "output_format": ""}  # the error says it
    present(
        options["output_format"],
        shown,
        lambda: report.render_text(shown),
        report.render_markdown(shown),
        {"action": shown.action, "number": str(shown.number or ""), "url": shown.url},
    )
    if refused and write:
        assert shown.plan is not None
        raise refusal(shown.plan)
    return 1 if refused else 0


def _policy(config: Config, repo: str | None) -> DeployPolicy:
    policy = config.deploy
    return policy if repo is None else replace(policy, repository=repository_name(repo))


def _asked(options: dict[str, Any], config: Config) -> DeployRequest:
    from consdb_actions.deploy.model import DeployRequest, check_tag, read_tag

    tag, ticket, repin = options["tag"], options["ticket"] or "", options["repin"]
    if repin and (options["app"] != "consdbtap" or tag or options["components"]):
        raise InputError(
            "only consdbtap is repinned, with the tag that follows from its image",
            place="--repin",
            remedy="Give --app consdbtap, and neither --tag nor --component.",
        )
    if not repin and not tag:
        raise InputError("no tag is given", place="--tag", remedy="Give the tag to deploy.")
    if not repin and not ticket:
        raise InputError("no ticket is given", place="--ticket", remedy="Give the ticket of the deployment.")
    if ticket:
        config.check_ticket(ticket)
        if not _TICKET.fullmatch(ticket):
            raise InputError(
                f'"{ticket}" cannot be part of a branch\'s name',
                place="--ticket",
                remedy="Use one like DM-12345.",
            )
    return DeployRequest(
        app=options["app"],
        today=moment_or_now(options["now"]).astimezone(UTC).date(),
        tag=check_tag(tag) if tag else read_tag(""),
        ticket=ticket,
        stage=options["stage"] or "",
        environments=tuple(options["environments"]),
        components=tuple(options["components"]),
        waive_until=_day(options["waive_until"]),
        force_order=options["force_order"],
        repin=repin,
        reopen=options["reopen"],
    )


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InputError(
        f'"{text[:100]}" is not a day', place="--waive-until", remedy="Write it like 2026-05-14."
    )
