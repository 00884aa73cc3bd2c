"""Evidence of completed steps, and statements of people."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

from consdb_actions.approval.evaluate import differences
from consdb_actions.approval.facts import Account, Concern, Role
from consdb_actions.process.comment_commands import (
    Attestation,
    Binding,
    Command,
    CommandOutcome,
    CommentCommand,
    CommentCommands,
    CommentState,
    Verb,
    change_digest,
    commands_in,
    kept,
    migration_digest,
    mistaken,
    recall,
)
from consdb_actions.process.facts import (
    Comment,
    Deployment,
    Evidence,
    FactSource,
    MigrationPull,
    ProcessFacts,
    PullLink,
    StepFinding,
    latest,
    listed,
)
from consdb_actions.process.policy import APPROVERS, BY_ID, CONTRIBUTOR, Owner, ProcessStep

CONSDB, CONSDBTAP = "consdb", "consdbtap"  # Applications in phalanx

TAP_SCHEMA, DATALINK = "tap-schema", "datalink"  # Components of consdbtap

TagTest = Callable[[str], bool]  # Tells whether a tag contains the change


def ticket_image(branch: str) -> str:
    """Return the image tag of a branch."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", branch)


def needed(facts: ProcessFacts) -> tuple[str, ...]:
    """List the components whose image must contain the change."""
    files = [path for item in facts.migrations if item.live for path in item.files]
    return facts.policy.components(files or [""])


def deployed(facts: ProcessFacts) -> StepFinding:
    """Check that every environment has a release with the migrations, once there is one."""
    tagged = _tagged(facts)
    if tagged.unknown:
        return tagged
    if not tagged.done:
        return StepFinding(False, "")
    if trouble := facts.trouble(FactSource.PHALANX):
        return StepFinding(False, trouble, unknown=True)
    tags = {release.tag for release in facts.releases}
    families = needed(facts)
    return _everywhere(
        facts,
        facts.policy.environments,
        lambda item: item.application == CONSDB and item.component.partition(".")[0] in families,
        tags.__contains__,
    )


def tap_deployed(facts: ProcessFacts) -> StepFinding:
    """Check that every environment has a TAP_SCHEMA with the change."""
    if trouble := facts.trouble(FactSource.PHALANX):
        return StepFinding(False, trouble, unknown=True)
    image = ticket_image(facts.pull.branch)
    found = _everywhere(
        facts,
        facts.policy.tap_environments,
        lambda item: item.application == CONSDBTAP and item.component == TAP_SCHEMA,
        lambda tag: tag == image or tag in facts.weeklies,
    )
    if found.done:
        return found
    return StepFinding(False, f"{found.text}; expected is {image}", found.at, found.by, found.evidence)


def repinned(facts: ProcessFacts) -> StepFinding:
    """Check that every environment has a weekly tag with the merge, once this pull request is merged."""
    if facts.pull.merged_at is None:
        return StepFinding(False, "")
    if trouble := facts.trouble(FactSource.PHALANX) or facts.trouble(FactSource.TAGS):
        return StepFinding(False, trouble, unknown=True)
    return _everywhere(
        facts,
        facts.policy.tap_environments,
        lambda item: item.application == CONSDBTAP and item.component in (TAP_SCHEMA, DATALINK),
        facts.weeklies.__contains__,
    )


def _everywhere(
    facts: ProcessFacts, environments: tuple[str, ...], wanted: Callable[[Deployment], bool], holds: TagTest
) -> StepFinding:
    there: dict[str, list[Deployment]] = {}
    behind: dict[str, list[str]] = {}
    moments: list[datetime | None] = []
    evidence: dict[Evidence, None] = {}
    for environment in environments:
        parts = [
            item
            for item in facts.deployments
            if item.environment == environment and item.enabled and wanted(item)
        ]
        late = [item for item in parts if not holds(item.tag)]
        if not parts:
            behind.setdefault("no component", []).append(environment)
        elif late:
            behind.setdefault(_tags(late), []).append(environment)
        else:
            there.setdefault(listed(list(dict.fromkeys(item.tag for item in parts))), []).extend(parts[:1])
            moments += [_since(item, holds) for item in parts]
            evidence.update(dict.fromkeys(_shown(item) for item in parts[:1]))
    words = [f"{listed([item.environment for item in parts])} at {tag}" for tag, parts in there.items()]
    words += [
        f"{listed(names)} {'has' if len(names) == 1 else 'have'} {tags}" for tags, names in behind.items()
    ]
    return StepFinding(
        done=not behind,
        text="; ".join(words),
        at=latest(moments) if not behind else None,
        evidence=tuple(evidence),
    )


def _shown(item: Deployment) -> Evidence:
    """Link the pull request that deployed a tag, or else the values file."""
    url = item.history[-1].url or item.url
    repository, pull, number = url.partition("/pull/")
    if pull:
        return Evidence(f"{repository.rpartition('/')[2]}#{number}", url)
    name = url.rpartition("/")[2] or item.environment
    return Evidence(name[:8] if "/commit/" in url else name, url)


def _tags(parts: list[Deployment]) -> str:
    """List the tags of components; one tag of one family is named once."""
    said = dict.fromkeys(
        f"{item.component.partition('.')[0]} {item.tag or 'without a tag'}" for item in parts
    )
    return listed(list(said))


def _since(item: Deployment, holds: TagTest) -> datetime | None:
    since = None
    for setting in reversed(item.history):
        if not holds(setting.tag):
            break
        since = setting.at
    return since


@dataclass(frozen=True, slots=True)
class RoleLogins:
    """Logins of some roles' people, and why a team could not be read."""

    people: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def has(self, account: Account) -> bool:
        """Tell whether an account is among them."""
        return account.login.casefold() in {login.casefold() for login in self.people}


def holders(facts: ProcessFacts, identifiers: tuple[str, ...], day: date) -> RoleLogins:
    """List the people of some roles on a day."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for identifier in identifiers:
        for login in _people(facts, facts.policy.owner(identifier), day, problems):
            found.setdefault(login.casefold(), login)
    return RoleLogins(tuple(found.values()), tuple(problems))


def owner_names(facts: ProcessFacts, step: ProcessStep) -> tuple[str, tuple[str, ...]]:
    """Return title and people of a step's owner; for approvals, who can still approve."""
    owner = facts.policy.owner(facts.policy.rule(step).owner)
    if owner.id == APPROVERS:
        missing = [role for role in facts.approvals.roles if role.outcome != "approved"]
        people = dict.fromkeys(login for role in missing for login in role.eligible)
        return listed([role.title for role in missing]) or owner.title, tuple(people)
    return owner.title, holders(facts, (owner.id,), facts.now.date()).people


def _people(facts: ProcessFacts, owner: Owner, day: date, problems: list[str]) -> list[str]:
    """List the people of a role; add unreadable teams to `problems`."""
    if owner.id == CONTRIBUTOR:
        return [facts.pull.author.login] if facts.pull.author is not None else []
    found = [*owner.people, *(item.login for item in owner.designates if item.active_on(day))]
    for name in owner.teams:
        team = next((team for team in facts.teams if team.name.casefold() == name.casefold()), None)
        if team is None or team.problem:
            problems.append(f"{name}: {team.problem if team else 'it was not looked up'}")
        else:
            found.extend(member.login for member in team.members)
    return found


_ALL = Role("all", "", "", concerns=(Concern.STRUCTURE, Concern.TEXT))


def live_migrations(facts: ProcessFacts) -> list[MigrationPull]:
    """List the open or merged migration pull requests, oldest first."""
    return [item for item in facts.migrations if item.live]


def migration_name(facts: ProcessFacts, item: MigrationPull) -> str:
    """Name a pull request in consdb."""
    return f"{facts.policy.consdb.rpartition('/')[2]}#{item.number}"


def _gathered(facts: ProcessFacts) -> StepFinding:
    pull = facts.pull
    ticket = facts.policy.ticket_in(pull.branch, pull.title)
    if not ticket:
        return StepFinding(False, "neither the branch nor the title names a ticket")
    url = facts.policy.ticket_url.replace("{ticket}", ticket)
    return StepFinding(True, "", evidence=(Evidence(ticket, url), Evidence(f"#{pull.number}", pull.url)))


def _synced(facts: ProcessFacts) -> StepFinding:
    if trouble := facts.trouble(FactSource.CONSDB):
        return StepFinding(False, trouble, unknown=True)
    evidence = tuple(Evidence(f"{item.schema}.yaml", item.url) for item in facts.efd_files)
    other = [f"{item.schema}.yaml" for item in facts.efd_files if item.here != item.consdb]
    if other:
        verb = "differs" if len(other) == 1 else "differ"
        text = f"{listed(other)} {verb} from consdb; consdb-actions process efd-sync copies them"
        return StepFinding(False, text, evidence=evidence, stale=len(other) < len(facts.efd_files))
    return StepFinding(True, "equal to consdb", evidence=evidence)


def _approved(facts: ProcessFacts) -> StepFinding:
    approvals = facts.approvals
    if not approvals.approved:
        # The text of the status continues a sentence.
        text = approvals.description[:1].lower() + approvals.description[1:]
        return StepFinding(False, text, unknown=approvals.state == "error")
    return StepFinding(
        True,
        f"by {listed([role.by for role in approvals.roles])}" if approvals.roles else "",
        latest([role.at for role in approvals.roles]),
        evidence=tuple(Evidence(role.title, role.url) for role in approvals.roles),
    )


def _generated(facts: ProcessFacts) -> StepFinding:
    """Check that the newest migration is up to date (rule P5)."""
    if trouble := facts.trouble(FactSource.CONSDB):
        return StepFinding(False, trouble, unknown=True)
    live = live_migrations(facts)
    if not live:
        gone = ", after one that was closed without a merge" if facts.migrations else ""
        text = (
            f"no pull request in consdb contains its migration{gone}; "
            f"the label `{facts.policy.migrate_label}` makes one"
        )
        return StepFinding(False, text)
    newest = live[-1]
    evidence = (Evidence(migration_name(facts, newest), newest.url),)
    if newest.link is PullLink.EFD:
        return StepFinding(True, "together with the EFD configuration", newest.created_at, evidence=evidence)
    if not newest.source:
        text = "found by its branch; its source commit is unknown"
        return StepFinding(True, text, newest.created_at, evidence=evidence)
    if reason := _outdated(facts, newest.source):
        text = (
            f"generated from {newest.source[:8]}, and {reason}; "
            "`/consdb regenerate` regenerates it and keeps edited files"
        )
        return StepFinding(False, text, newest.created_at, evidence=evidence, stale=True)
    kept = "" if newest.source == facts.pull.head else ", which makes the same change"
    return StepFinding(True, f"from {newest.source[:8]}{kept}", newest.created_at, evidence=evidence)


def _outdated(facts: ProcessFacts, sha: str) -> str:
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


def _merged_consdb(facts: ProcessFacts) -> StepFinding:
    generated = _generated(facts)
    if generated.unknown:
        return generated
    live = live_migrations(facts)
    evidence = tuple(Evidence(migration_name(facts, item), item.url) for item in live)
    waiting = [item for item in live if not item.merged]
    if not live or waiting:
        words = [f"{migration_name(facts, item)} is {_openness(item)}" for item in waiting]
        said = f"still {_openness(waiting[0])}" if len(live) == len(waiting) == 1 else listed(words)
        return StepFinding(False, said, evidence=evidence)
    at = latest([item.merged_at for item in live])
    if generated.stale:
        return StepFinding(
            False, "the merged migration is that of an older commit", at, "", evidence, stale=True
        )
    return StepFinding(True, "", at, evidence=evidence)


def _openness(item: MigrationPull) -> str:
    return "a draft" if item.draft else "open"


def _tagged(facts: ProcessFacts) -> StepFinding:
    merged = _merged_consdb(facts)
    if merged.unknown:
        return merged
    if not merged.done:
        return StepFinding(False, "")
    if not facts.releases:
        return StepFinding(
            False, "no release tag contains the merge; `consdb-actions release tag` creates one"
        )
    first = facts.releases[0]
    evidence = [Evidence(first.tag, first.url)]
    evidence += [Evidence("release notes", first.release_url)] if first.release_url else []
    text = "" if first.annotated else "a lightweight tag; an annotated one is required"
    return StepFinding(True, text, first.at, evidence=tuple(evidence))


def _merged(facts: ProcessFacts) -> StepFinding:
    pull = facts.pull
    if pull.merged_at is None:
        return StepFinding(False, "closed without a merge" if pull.state == "closed" else "")
    url = f"{facts.html_url}/commit/{pull.merge_commit}" if pull.merge_commit else pull.url
    return StepFinding(True, "", pull.merged_at, evidence=(Evidence(pull.merge_commit[:8] or "merge", url),))


# Function that derives each step without attestation.
DERIVED: dict[str, Callable[[ProcessFacts], StepFinding]] = {
    "gather": _gathered,
    "efd-sync": _synced,
    "approve": _approved,
    "generate": _generated,
    "merge-consdb": _merged_consdb,
    "tag": _tagged,
    "deploy": deployed,
    "tap": tap_deployed,
    "merge-sdm": _merged,
    "repin": repinned,
}

_REQUESTS = {Verb.RENAME: "a rename", Verb.TAKE: "a side", Verb.REGENERATE: "a new migration"}

_TOO_LATE = (("!", ""),)  # Stored for a comment that was edited before it was first read


def present_binding(facts: ProcessFacts) -> Binding:
    """Return the binding to the present state."""
    head = facts.pull.head
    return Binding(head, change_digest(facts.change_at(head)), migration_digest(facts))


def evaluate_comments(facts: ProcessFacts, applicable: frozenset[str]) -> CommentCommands:
    """Process all comments in the order of writing."""
    stored = recall(facts)
    commands: list[CommentCommand] = []
    states: list[CommentState] = []
    attestations: dict[str, list[Attestation]] = {}
    undone: dict[str, CommentCommand] = {}
    gone = _gone(facts, stored)
    for comment in sorted(facts.comments, key=lambda item: (item.created_at, item.id)):
        for old in [state for state in gone if state.comment < comment.id]:
            states.append(_undo_anyway(old, attestations))
            gone.remove(old)
        if comment.author is None or comment.author.bot or facts.identity.same_as(comment.author):
            continue
        known = stored.get(comment.id)
        binding = known.binding if known else _binding_now(facts, comment)
        found = [
            _judge(facts, comment, comment.author, command, known, binding, applicable)
            for command in _commands(comment, known)
        ]
        found = [_carry_out(item, attestations, undone) for item in found]
        commands += found
        # An entry that cannot be bound yet is not stored: the next run reads it as new.
        if found and (known is not None or not _unreadable(facts)):
            states.append(_state(comment, binding, found, known))
    states += [_undo_anyway(old, attestations) for old in gone]
    return CommentCommands(
        tuple(commands),
        {step: tuple(items) for step, items in attestations.items() if items},
        undone,
        kept(states),
    )


def _gone(facts: ProcessFacts, stored: dict[int, CommentState]) -> list[CommentState]:
    """List deleted comments that undid a step: deleting one must not make the step done again."""
    there = {comment.id for comment in facts.comments}
    return [
        state
        for number, state in sorted(stored.items())
        if number not in there
        and state.reaction == "+1"
        and any(verb == "undo" for verb, _ in state.commands)
    ]


def _undo_anyway(state: CommentState, attestations: dict[str, list[Attestation]]) -> CommentState:
    for verb, step in state.commands:
        if verb == "undo":
            attestations.get(step, []).clear()
    return state


def _commands(comment: Comment, known: CommentState | None) -> list[Command]:
    """Read the commands; edits, which others can make, are rejected."""
    now = list(commands_in(comment.body))
    if now and (known.commands == _TOO_LATE if known else comment.updated_at > comment.created_at):
        return [mistaken(now[0].text, "this comment was edited before it was read; write a new one")]
    if known is not None and _pairs(now) != known.commands:
        first = [_restored(*pair) for pair in known.commands if pair[0] not in ("?", "!")]
        text = "this comment was edited after it was read, which changes nothing; write a new one"
        return [*first, mistaken("/consdb", text)]
    return now


def _restored(verb: str, argument: str) -> Command:
    try:
        kind = Verb(verb)
    except ValueError:
        return mistaken(f"/consdb {verb}", "the original text of this comment is not known; write a new one")
    text = f"/consdb {kind} {argument}".strip()
    if kind in (Verb.DONE, Verb.UNDO):
        if argument not in BY_ID:
            return mistaken(text, "this step no longer exists")
        return Command(kind, text, argument)
    return Command(kind, text, declaration=argument)


def _pairs(commands: list[Command]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (item.verb.value, item.step or item.declaration) if item.verb else ("?", "") for item in commands
    )


def _binding_now(facts: ProcessFacts, comment: Comment) -> Binding:
    """Bind a new comment; without a commit if a push may precede it.

    GitHub does not record when a commit was pushed. The first check on it starts with the push; without
    checks the commit's own date is used.
    """
    now = present_binding(facts)
    arrived = [facts.pull.pushed_at or facts.pull.committed_at]
    arrived += [item.committed_at for item in facts.migrations if item.live and item.committed_at]
    if any(moment is None or moment > comment.created_at for moment in arrived):
        return Binding("", "", "")
    return now


def _unreadable(facts: ProcessFacts) -> str:
    """Return why a comment cannot be bound now; empty if it can."""
    change = facts.change_at(facts.pull.head)
    problem = "the newest commit could not be read" if change is None else change.problem
    return facts.trouble(FactSource.CONSDB) or problem


def _judge(
    facts: ProcessFacts,
    comment: Comment,
    actor: Account,
    command: Command,
    known: CommentState | None,
    binding: Binding,
    applicable: frozenset[str],
) -> CommentCommand:
    def judged(outcome: CommandOutcome, answer: str = "", bound: Binding | None = None) -> CommentCommand:
        return CommentCommand(comment, actor, command, outcome, answer, bound)

    if command.verb is None:
        return judged(CommandOutcome.REJECTED, command.mistake)
    if command.verb is Verb.HELP:
        return judged(CommandOutcome.ACCEPTED)
    day = comment.created_at.date()
    if command.verb in (Verb.DONE, Verb.UNDO):
        step = BY_ID[command.step]
        if step.id not in applicable:
            return judged(CommandOutcome.REJECTED, f"{step.id} is not a step of this change")
        people = holders(facts, facts.policy.rule(step).attested_by, day)
        what = f"attest to {step.id}"
    else:
        roles = (*facts.policy.rule(BY_ID["generate"]).attested_by, CONTRIBUTOR)
        people = holders(facts, roles, day)
        what = f"request {_REQUESTS[command.verb]}"
    if not people.has(actor):
        if people.problems:
            why = f"it cannot be determined who may {what}: {'; '.join(people.problems)}"
            return judged(CommandOutcome.UNDECIDED, why)
        who = ", ".join(people.people) or "nobody, until the configuration names people"
        return judged(CommandOutcome.REJECTED, f"{actor.login} may not {what}. Those who may: {who}")
    if command.verb is Verb.DONE and (unreadable := _unreadable(facts)) and known is None:
        why = f"the commit that this refers to cannot be determined: {unreadable}"
        return judged(CommandOutcome.UNDECIDED, why)
    if command.verb is Verb.DONE and not binding.sha:
        why = (
            "a push came at about the same time, so the commit that this refers to is uncertain; "
            "repeat the comment"
        )
        return judged(CommandOutcome.REJECTED, why)
    return judged(CommandOutcome.ACCEPTED, bound=binding)


def _carry_out(
    item: CommentCommand, attestations: dict[str, list[Attestation]], undone: dict[str, CommentCommand]
) -> CommentCommand:
    command = item.command
    if item.outcome is not CommandOutcome.ACCEPTED:
        return item
    step = command.step
    valid = attestations.setdefault(step, []) if step else []
    if command.verb is Verb.UNDO:
        answer = "" if valid else f"{step} was not done, so nothing changes"
        valid.clear()
        undone[step] = item
        return replace(item, answer=answer)
    if command.verb is not Verb.DONE or item.binding is None:
        return item
    same = next((old for old in valid if old.binding == item.binding), None)
    undone.pop(step, None)
    valid.append(
        Attestation(
            step, item.actor.login, item.comment.created_at, command.note, item.comment.url, item.binding
        )
    )
    if same is not None:
        return replace(
            item, answer=f"{same.by} already attested to it on {same.at:%Y-%m-%d}; nothing changes"
        )
    return item


def _state(
    comment: Comment, binding: Binding, found: list[CommentCommand], old: CommentState | None
) -> CommentState:
    """Build the entry to store; an undecided comment gets no reaction."""
    outcomes = {item.outcome for item in found}
    reaction = "confused" if CommandOutcome.REJECTED in outcomes else "+1"
    if CommandOutcome.UNDECIDED in outcomes:
        reaction = old.reaction if old else ""
    commands = old.commands if old else _pairs([item.command for item in found])
    if old is None and comment.updated_at > comment.created_at:
        commands = _TOO_LATE
    return CommentState(comment.id, binding, commands, reaction)
