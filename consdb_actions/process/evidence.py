"""Derive the status of steps from repositories (rules P1 and P5)."""

from __future__ import annotations

from collections.abc import Callable

from consdb_actions.approval.policy import Concern, Role
from consdb_actions.approval.stickiness import differences
from consdb_actions.process.deployed import deployed, repinned, tap_deployed
from consdb_actions.process.facts import Facts, Link, Migration, Source
from consdb_actions.process.finding import Evidence, Finding, latest, listed

__all__ = ["DERIVED", "live_migrations", "migration_name"]

_ALL = Role("all", "", "", concerns=(Concern.STRUCTURE, Concern.TEXT))


def live_migrations(facts: Facts) -> list[Migration]:
    """List the open or merged migration pull requests, oldest first."""
    return [item for item in facts.migrations if item.live]


def migration_name(facts: Facts, item: Migration) -> str:
    """Name a pull request in consdb."""
    return f"{facts.policy.consdb.rpartition('/')[2]}#{item.number}"


def _gathered(facts: Facts) -> Finding:
    """Check that the change has a ticket."""
    pull = facts.pull
    ticket = facts.policy.ticket_in(pull.branch, pull.title)
    if not ticket:
        return Finding(False, "neither the branch nor the title names a ticket")
    url = facts.policy.ticket_url.replace("{ticket}", ticket)
    return Finding(True, "", evidence=(Evidence(ticket, url), Evidence(f"#{pull.number}", pull.url)))


def _synced(facts: Facts) -> Finding:
    """Compare the EFD schemas here with those of consdb."""
    if trouble := facts.trouble(Source.CONSDB):
        return Finding(False, trouble, unknown=True)
    evidence = tuple(Evidence(f"{item.schema}.yaml", item.url) for item in facts.efd_files)
    other = [f"{item.schema}.yaml" for item in facts.efd_files if item.here != item.consdb]
    if other:
        verb = "differs" if len(other) == 1 else "differ"
        words = f"{listed(other)} {verb} from consdb; consdb-actions process efd-sync copies what is there"
        return Finding(False, words, evidence=evidence, stale=len(other) < len(facts.efd_files))
    return Finding(True, "equal to consdb", evidence=evidence)


def _approved(facts: Facts) -> Finding:
    """Use the verdict on the approvals."""
    approvals = facts.approvals
    if not approvals.approved:
        # The text of the status continues a sentence.
        words = approvals.description[:1].lower() + approvals.description[1:]
        return Finding(False, words, unknown=approvals.state == "error")
    return Finding(
        True,
        f"by {listed([role.by for role in approvals.roles])}" if approvals.roles else "",
        latest([role.at for role in approvals.roles]),
        evidence=tuple(Evidence(role.title, role.url) for role in approvals.roles),
    )


def _generated(facts: Facts) -> Finding:
    """Check that the newest migration is up to date (rule P5)."""
    if trouble := facts.trouble(Source.CONSDB):
        return Finding(False, trouble, unknown=True)
    live = live_migrations(facts)
    if not live:
        gone = ", after one that was closed without a merge" if facts.migrations else ""
        words = (
            f"no pull request in consdb belongs to this one{gone}; "
            f"the label `{facts.policy.migrate_label}` makes one"
        )
        return Finding(False, words)
    newest = live[-1]
    evidence = (Evidence(migration_name(facts, newest), newest.url),)
    if newest.link is Link.EFD:
        return Finding(True, "together with the EFD configuration", newest.created_at, evidence=evidence)
    if not newest.source:
        words = "found by its branch; it does not say which commit it was made from"
        return Finding(True, words, newest.created_at, evidence=evidence)
    if reason := _outdated(facts, newest.source):
        words = (
            f"generated from {newest.source[:8]}, and {reason}; "
            "`/consdb regenerate` makes it anew and keeps what people edited"
        )
        return Finding(False, words, newest.created_at, evidence=evidence, stale=True)
    kept = "" if newest.source == facts.pull.head else ", which makes the same change"
    return Finding(True, f"from {newest.source[:8]}{kept}", newest.created_at, evidence=evidence)


def _outdated(facts: Facts, sha: str) -> str:
    """Return why a migration is outdated; empty if it is not."""
    head = facts.pull.head
    if sha == head:
        return ""
    now, then = facts.change_at(head), facts.change_at(sha)
    if now is None or now.problem:
        return f"the newest commit {head[:8]} could not be read"
    if then is None or then.problem:
        return f"commit {sha[:8]} can no longer be read to compare it with {head[:8]}"
    found = differences(_ALL, then, now)
    return f"{head[:8]} differs in {', '.join(found)}" if found else ""


def _merged_consdb(facts: Facts) -> Finding:
    """Check that all migrations are merged and up to date."""
    generated = _generated(facts)
    if generated.unknown:
        return generated
    live = live_migrations(facts)
    evidence = tuple(Evidence(migration_name(facts, item), item.url) for item in live)
    waiting = [item for item in live if not item.merged]
    if not live or waiting:
        words = [f"{migration_name(facts, item)} is {_openness(item)}" for item in waiting]
        said = f"still {_openness(waiting[0])}" if len(live) == len(waiting) == 1 else listed(words)
        return Finding(False, said, evidence=evidence)
    at = latest([item.merged_at for item in live])
    if generated.stale:
        return Finding(
            False, "what is merged is the migration of an older commit", at, "", evidence, stale=True
        )
    return Finding(True, "", at, evidence=evidence)


def _openness(item: Migration) -> str:
    return "a draft" if item.draft else "open"


def _tagged(facts: Facts) -> Finding:
    """Find the first release with the migrations."""
    merged = _merged_consdb(facts)
    if merged.unknown:
        return merged
    if not merged.done:
        return Finding(False, "")
    if not facts.releases:
        return Finding(False, "no release tag holds the merge; `consdb-actions release tag` makes one")
    first = facts.releases[0]
    evidence = [Evidence(first.tag, first.url)]
    evidence += [Evidence("release notes", first.release_url)] if first.release_url else []
    words = "" if first.annotated else "a lightweight tag; an annotated one is asked for"
    return Finding(True, words, first.at, evidence=tuple(evidence))


def _deployed(facts: Facts) -> Finding:
    """Check the environments once there is a release."""
    tagged = _tagged(facts)
    if tagged.unknown:
        return tagged
    return deployed(facts, live_migrations(facts)) if tagged.done else Finding(False, "")


def _merged(facts: Facts) -> Finding:
    pull = facts.pull
    if pull.merged_at is None:
        return Finding(False, "closed without a merge" if pull.state == "closed" else "")
    url = f"{facts.html_url}/commit/{pull.merge_commit}" if pull.merge_commit else pull.url
    return Finding(True, "", pull.merged_at, evidence=(Evidence(pull.merge_commit[:8] or "merge", url),))


def _repinned(facts: Facts) -> Finding:
    """Check the weekly tags once this pull request is merged."""
    return repinned(facts) if facts.pull.merged_at is not None else Finding(False, "")


DERIVED: dict[str, Callable[[Facts], Finding]] = {
    "gather": _gathered,
    "efd-sync": _synced,
    "approve": _approved,
    "generate": _generated,
    "merge-consdb": _merged_consdb,
    "tag": _tagged,
    "deploy": _deployed,
    "tap": tap_deployed,
    "merge-sdm": _merged,
    "repin": _repinned,
}
"""Function that derives each step without attestation."""
