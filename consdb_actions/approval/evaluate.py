"""Decide which roles have approved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from consdb_actions.approval.facts import (
    UNCHANGED,
    Account,
    ApprovalFacts,
    CommitChange,
    Concern,
    EventKind,
    FileChange,
    Review,
    ReviewState,
    Role,
    TimelineEvent,
    eligible,
    holder_accounts,
    holds,
    roles_of,
    unreadable_teams,
    why_not,
)
from consdb_actions.forms import Public


class ReviewEffect(StrEnum):
    """The effect of one review on one role."""

    COUNTS = "counts"
    STALE = "stale"
    BLOCKS = "blocks"
    REJECTED = "rejected"
    DISMISSED = "dismissed"
    SUPERSEDED = "superseded"


class RoleOutcome(StrEnum):
    """The state of one role."""

    APPROVED = "approved"
    BLOCKED = "blocked"
    STALE = "stale"
    MISSING = "missing"
    ERROR = "error"


class StatusState(StrEnum):
    """The state of the pull request, with the values of a commit status."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ReviewVerdict(Public):
    """The verdict on one review for one role."""

    PUBLIC: ClassVar[str] = "id=review author=author.login effect reason commit submitted_at kept"

    review: int
    author: Account
    effect: ReviewEffect
    reason: str
    commit: str | None
    submitted_at: datetime | None
    url: str = ""
    kept: bool = False  # Whether it is an approval of an older commit that is still valid


@dataclass(frozen=True, slots=True)
class RoleVerdict(Public):
    """The verdict on one role."""

    PUBLIC: ClassVar[str] = (
        "id=role.id title=role.title outcome reason approver=approver.author.login eligible warning reviews"
    )

    role: Role
    outcome: RoleOutcome
    reason: str  # A sentence without a period
    reviews: tuple[ReviewVerdict, ...] = ()  # Every review evaluated for the role, oldest first
    approver: ReviewVerdict | None = None  # The approval that counts, if any
    eligible: tuple[str, ...] = ()  # Logins that could approve now and have not
    warning: str = ""  # Why approval may become impossible; empty if it will not
    label_word: str = ""  # Why a label set by hand was removed; empty if none was


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on the pull request."""

    state: StatusState
    description: str
    applicable: bool  # Whether a schema of the policy changes
    roles: tuple[RoleVerdict, ...] = ()
    others: tuple[ReviewVerdict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether all approvals are given, also on a draft."""
        return not self.applicable or all(role.outcome is RoleOutcome.APPROVED for role in self.roles)


@dataclass(frozen=True, slots=True)
class ApprovalReport(Public):
    """The verdict, as ``approvals status`` prints it with ``--format json``."""

    FORMAT: ClassVar[str] = "consdb-actions/approvals/1"
    PUBLIC: ClassVar[str] = (
        "repository=facts.repository number=facts.pull.number head=facts.pull.head state=decision.state "
        "description=decision.description applicable=decision.applicable approved=decision.approved "
        "roles=decision.roles others=decision.others notes=decision.notes"
    )

    facts: ApprovalFacts
    decision: Decision


def label_word(facts: ApprovalFacts, role: Role) -> str:
    """Explain, from the timeline only, why a label set by hand is removed; empty if set by us."""
    events = [
        event
        for event in facts.timeline
        if event.kind is EventKind.LABELED and event.subject.casefold() == role.label.casefold()
    ]
    if not events:
        return ""
    last = sorted(events, key=lambda event: event.at)[-1]
    if last.actor is None:
        return (
            f'the label "{role.label}", set by an account that no longer exists, was removed: '
            f"nobody has approved for {role.title}"
        )
    if facts.identity.same_as(last.actor):
        return ""
    if holds(facts, role, last.actor, last.at.date()):
        why = "a label is not an approval; approving in a review is"
    else:
        why = f"{last.actor.login} does not hold the role {role.title}"
    return f'the label "{role.label}", set by {last.actor.login}, was removed: {why}'


def label_changes(facts: ApprovalFacts, decision: Decision) -> tuple[tuple[Role, ...], tuple[str, ...]]:
    """Return roles whose labels to add, and labels to remove (none if a team is unreadable, rule A6)."""
    present = {label.casefold() for label in facts.pull.labels}
    approved = {item.role.id for item in decision.roles if item.outcome is RoleOutcome.APPROVED}
    failed = any(item.outcome is RoleOutcome.ERROR for item in decision.roles)
    add = [
        role for role in facts.policy.roles if role.id in approved and role.label.casefold() not in present
    ]
    remove = [
        role.label
        for role in facts.policy.roles
        if role.id not in approved and role.label.casefold() in present and not failed
    ]
    return tuple(add), tuple(remove)


# The states with a verdict; a comment has none.
VERDICTS = (ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED)

_MARKER = re.compile(r" {0,3}consdb:[ \t]*(?P<words>[\w\- ,]+?)[ \t]*", re.IGNORECASE)

_FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}(?=[^`]*$)|~{3,})")

_CLOSE = re.compile(r" {0,3}(?P<ticks>`{3,}|~{3,})[ \t]*")

_QUOTE = re.compile(r" {0,3}>")

# What HTML hides or shows as code; what stands behind it on its line is at no start of a line any more.
_HTML = re.compile(r"<!--.*?-->|<(pre|code)\b.*?</\1\s*>", re.IGNORECASE)

# Elements whose contents GitHub does not show as text, or might not.
_ELEMENTS = "pre|code|script|style|textarea|template|rp|svg|math|object|audio|video|canvas|iframe"

_HTML_OPEN = re.compile(
    rf"<!--|<[?!]|<(?:{_ELEMENTS})\b"
    # A tag that does not end on its line; in quotes, a bracket does not end it.
    r"""|</?[a-z](?:"[^"]*"|'[^']*'|[^<>"'])*(?:"[^"]*|'[^']*)?$""",
    re.IGNORECASE,
)

_HTML_END = {
    "<!--": re.compile(r"-->"),
    **{f"<{tag}": re.compile(rf"</{tag}\s*>", re.IGNORECASE) for tag in _ELEMENTS.split("|")},
}

# What a tag that is left open swallows, no pattern can tell.
_NEVER = re.compile(r"(?!)")

# What is defined for links is not shown, and its title can have several lines.
_DEFINITION = re.compile(r" {0,3}\[[^\]]*\]:")

# The text instead of an image and the title of a link are not shown, and can have several lines.
_LINK = re.compile(r"""!?\[[^\[\]]*\]\([^()\s"']*(?:\s+"[^"]*"|\s+'[^']*')?\)""")
_LINK_OPEN = re.compile(r"!\[|\]\(")


@dataclass(frozen=True, slots=True)
class ReviewRoles:
    """The roles that a review counts for, and why others it names do not count."""

    roles: tuple[Role, ...]
    problem: str = ""


def named_in(body: str) -> list[str]:
    """List the words after ``consdb:`` in lines of their own, outside quotations and code."""
    return [
        word.strip()
        for line in visible_lines(body)
        if (match := _MARKER.fullmatch(line))
        for word in match["words"].split(",")
        if word.strip()
    ]


def visible_lines(body: str) -> list[str]:
    """List the lines of Markdown that are neither code nor quoted nor hidden (rule A3).

    In doubt a line is hidden: what was not read can be written again.
    """
    lines: list[str] = []
    fence = ""
    hidden: re.Pattern[str] | None = None
    quoted = defined = False
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            close = _CLOSE.fullmatch(line)
            if close and close["ticks"][0] == fence[0] and len(close["ticks"]) >= len(fence):
                fence = ""
        elif hidden is not None:
            hidden = None if hidden.search(line) else hidden
        elif opened := _FENCE.match(line):
            fence, quoted = opened["ticks"], False
        else:
            # A line right below a quotation belongs to it, as long as no blank line ends the paragraph.
            quoted = bool(_QUOTE.match(line)) or (quoted and bool(line.strip()))
            shown = _HTML.sub("\ufffd", line)
            if left_open := _HTML_OPEN.search(shown):
                shown = shown[: left_open.start()] + "\ufffd"
                hidden = _HTML_END.get(left_open[0].casefold(), _NEVER)
            starts = _DEFINITION.match(line) or _LINK_OPEN.search(_LINK.sub("", line))
            defined = bool(starts) or (defined and bool(line.strip()))
            if not quoted and not defined:
                lines.append(shown)
    return lines


def verdict_reviews(facts: ApprovalFacts) -> list[tuple[Account, Review]]:
    """Return the reviews with a verdict, oldest first, except those without an author."""
    taken = [
        (review.author, review)
        for review in facts.reviews
        if review.author is not None and review.state in VERDICTS and review.submitted_at is not None
    ]
    return sorted(taken, key=lambda pair: (pair[1].submitted_at, pair[1].id))


def naming_of(facts: ApprovalFacts, author: Account, review: Review) -> ReviewRoles:
    """Determine the roles that a review counts for.

    A line ``consdb: ROLE`` decides. Otherwise the author's only role counts, or of several roles those whose
    label they set by hand; changes requested without a role apply to all.
    """
    day = (review.submitted_at or facts.now).date()
    held = roles_of(facts, author, day)
    text = named_in(review.body)
    if text:
        naming = _named_roles(facts, held, text)
        if review.state is ReviewState.APPROVED or naming.roles:
            return naming
        # A request for changes counts for all roles where it names none that the author holds.
        return ReviewRoles(tuple(held), naming.problem)
    if len(held) <= 1 or review.state is not ReviewState.APPROVED:
        return ReviewRoles(tuple(held))
    labelled = _labeled_roles(facts, author, review, held)
    if labelled:
        return ReviewRoles(tuple(labelled))
    options = " or ".join(f'"consdb: {role.id}"' for role in held)
    return ReviewRoles(
        (),
        f"{author.login} holds {_titles(held)} and did not name one; approve again with a line {options}",
    )


def _named_roles(facts: ApprovalFacts, held: list[Role], text: list[str]) -> ReviewRoles:
    roles: list[Role] = []
    problems: list[str] = []
    for word in text:
        role = facts.policy.role_named(word)
        if role is None:
            known = ", ".join(item.id for item in facts.policy.roles)
            problems.append(f'"consdb: {word}" is not a role; there are {known}')
        elif role not in held:
            problems.append(f"it is for {role.title}, a role that its author does not hold")
        elif role not in roles:
            roles.append(role)
    return ReviewRoles(tuple(roles), "; ".join(problems))


def _labeled_roles(facts: ApprovalFacts, author: Account, review: Review, held: list[Role]) -> list[Role]:
    named = []
    for role in held:
        events = [
            event
            for event in facts.timeline
            if event.subject.casefold() == role.label.casefold()
            and event.kind in (EventKind.LABELED, EventKind.UNLABELED)
        ]
        events.sort(key=lambda event: event.at)
        own = [event for event in events if author.same_as(event.actor)]
        if not own or own[-1].kind is EventKind.UNLABELED:
            continue
        if _belongs(facts, author, own[-1], review, events):
            named.append(role)
    return named


def _belongs(
    facts: ApprovalFacts, author: Account, label: TimelineEvent, review: Review, events: list[TimelineEvent]
) -> bool:
    """Return whether a label set by hand belongs to this review.

    Set while an approval was valid, it belongs to that; else to the next review, unless somebody (other than
    this program) removed it before.
    """
    stands = [pair[1] for pair in verdict_reviews(facts) if author.same_as(pair[0])]
    before = [item for item in stands if item.submitted_at is not None and item.submitted_at <= label.at]
    if before and before[-1].state is ReviewState.APPROVED:
        return before[-1].id == review.id
    after = [item for item in stands if item not in before]
    if not after or after[0].id != review.id:
        return False
    at = review.submitted_at
    return not any(
        event.kind is EventKind.UNLABELED
        and label.at <= event.at
        and at is not None
        and event.at <= at
        and not facts.identity.same_as(event.actor)
        for event in events
    )


def _titles(roles: list[Role]) -> str:
    titles = [role.title for role in roles]
    return f"{', '.join(titles[:-1])} and {titles[-1]}" if len(titles) > 1 else titles[0]


LIMIT = 140  # GitHub's maximum length of a status description, in characters


def describe(state: StatusState, roles: tuple[RoleVerdict, ...], *, draft: bool) -> str:
    """Summarize the verdicts in at most `LIMIT` characters."""
    prefix = "Draft; " if draft else ""
    missing = [item for item in roles if item.outcome is not RoleOutcome.APPROVED]
    if state is StatusState.SUCCESS or not missing:
        people = ", ".join(
            f"{item.role.title} ({item.approver.author.login})" for item in roles if item.approver is not None
        )
        long = f"Approved by {people}"
        short = f"All {len(roles)} roles have approved"
        return fit(tuple(prefix + (text[0].lower() + text[1:] if draft else text) for text in (long, short)))
    parts = []
    for outcome, message in (
        (RoleOutcome.ERROR, "Team unreadable"),
        (RoleOutcome.BLOCKED, "Changes requested"),
        (RoleOutcome.STALE, "Approval stale"),
        (RoleOutcome.MISSING, "Missing"),
    ):
        titles = [item.role.title for item in roles if item.outcome is outcome]
        ids = [item.role.id for item in roles if item.outcome is outcome]
        if titles:
            parts.append((f"{message}: {', '.join(titles)}", f"{message}: {', '.join(ids)}"))
    done = f"{len(roles) - len(missing)} of {len(roles)} roles have approved"
    return fit(
        (prefix + "; ".join(long for long, _ in parts), prefix + "; ".join(short for _, short in parts), done)
    )


def fit(choices: tuple[str, ...]) -> str:
    """Return the first choice that fits, or the last one truncated."""
    for choice in choices:
        if len(choice) <= LIMIT:
            return choice
    return choices[-1][: LIMIT - 3].rstrip() + "..."


def assign(candidates: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Assign different people to as many roles as possible (Kuhn's algorithm), in given order."""
    role_of: dict[str, str] = {}

    def place(role: str, seen: set[str]) -> bool:
        for person in candidates[role]:
            if person in seen:
                continue
            seen.add(person)
            if person not in role_of or place(role_of[person], seen):
                role_of[person] = role
                return True
        return False

    for role in candidates:
        place(role, set())
    assigned = {role: person for person, role in role_of.items()}
    return {role: assigned[role] for role in candidates if role in assigned}


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Whether an approval is valid, and why; `kept`: for an older commit."""

    holds: bool
    reason: str
    kept: bool = False


def stickiness(facts: ApprovalFacts, role: Role, sha: str | None) -> Stickiness:
    """Compare the schema change at a commit with the one at head.

    Only parts that concern the role count. Unreadable files are compared by their changed lines; unknown
    changes count as different.
    """
    head = facts.pull.head
    if sha is None:
        return Stickiness(False, "GitHub no longer shows the commit of the approval")
    if sha == head:
        return Stickiness(True, f"for the newest commit {head[:8]}")
    now, then = facts.change_at(head), facts.change_at(sha)
    if now is None or now.problem:
        return Stickiness(False, f"the newest commit {head[:8]} could not be read: {_problem(now)}")
    if then is None or then.problem:
        return Stickiness(False, f"commit {sha[:8]} can no longer be read: {_problem(then)}")
    differing = differences(role, then, now)
    if differing:
        return Stickiness(False, f"since commit {sha[:8]} the change differs in {', '.join(differing)}")
    what = "schema change" if Concern.TEXT in role.concerns else "structure of the schema change"
    where = f"{sha[:8]}, as recorded by an earlier run," if then.remembered else sha[:8]
    return Stickiness(True, f"for commit {where} with the same {what}", kept=True)


def differences(role: Role, then: CommitChange, now: CommitChange) -> list[str]:
    """Name the files and parts that differ for a role."""
    before = {change.path: change for change in then.changes}
    after = {change.path: change for change in now.changes}
    found = []
    for path in sorted(before.keys() | after.keys()):
        unchanged = FileChange(path, UNCHANGED, UNCHANGED, UNCHANGED)
        parts = _parts(role, before.get(path, unchanged), after.get(path, unchanged))
        if parts:
            found.append(f"{path.rpartition('/')[2]} ({' and '.join(parts)})")
    return found


def _parts(role: Role, one: FileChange, other: FileChange) -> list[str]:
    if not (one.structure and other.structure):
        return [] if one.verbatim == other.verbatim else ["changed lines"]
    parts = []
    if Concern.STRUCTURE in role.concerns and one.structure != other.structure:
        parts.append("structure")
    if Concern.TEXT in role.concerns and one.text != other.text:
        parts.append("text")
    return parts


def _problem(change: CommitChange | None) -> str:
    return change.problem if change is not None and change.problem else "it was not looked at"


MOST = 15  # GitHub's maximum of reviewers on a pull request


def reviewers_to_ask(facts: ApprovalFacts, decision: Decision) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the people and teams to ask for a review now.

    Authors of stale approvals are asked again. A role that nobody was asked for gets its people, else its
    designates, else its teams; drafts ask nobody, and nobody removed by hand is asked again.
    """
    if facts.pull.draft or not decision.applicable or not facts.policy.ask_reviewers:
        return (), ()
    people: list[str] = []
    teams: list[str] = []
    for item in decision.roles:
        if item.outcome is RoleOutcome.STALE:
            people.extend(_to_ask_again(facts, item))
        elif item.outcome is RoleOutcome.MISSING and not _somebody_asked(facts, item):
            listed = _named_people(facts, item)
            people.extend(listed)
            teams.extend(item.role.teams if not listed else ())
    room = MOST - len(facts.pull.asked_people) - len(facts.pull.asked_teams)
    chosen = tuple(dict.fromkeys(people))[: max(room, 0)]
    return chosen, tuple(dict.fromkeys(teams))[: max(room - len(chosen), 0)]


def _to_ask_again(facts: ApprovalFacts, item: RoleVerdict) -> list[str]:
    return [
        review.author.login
        for review in item.reviews
        if review.effect is ReviewEffect.STALE
        and review.submitted_at is not None
        and not _asked_since(facts, review.author.login, review.submitted_at)
    ]


def _asked_since(facts: ApprovalFacts, subject: str, since: datetime) -> bool:
    kinds = (EventKind.REVIEW_REQUESTED, EventKind.REVIEW_REQUEST_REMOVED)
    asked = {login.casefold() for login in facts.pull.asked_people}
    return subject.casefold() in asked or any(
        event.kind in kinds and event.subject.casefold() == subject.casefold() and event.at >= since
        for event in facts.timeline
    )


def _somebody_asked(facts: ApprovalFacts, item: RoleVerdict) -> bool:
    day = facts.now.date()
    subjects = {account.login.casefold() for account in holder_accounts(facts, item.role, day)}
    subjects |= {name.rpartition("/")[2].casefold() for name in item.role.teams}
    asked = {name.casefold() for name in (*facts.pull.asked_people, *facts.pull.asked_teams)}
    asked |= {
        event.subject.casefold()
        for event in facts.timeline
        if event.kind in (EventKind.REVIEW_REQUESTED, EventKind.REVIEW_REQUEST_REMOVED)
    }
    reviewed = any(
        review.author is not None and holds(facts, item.role, review.author, day) for review in facts.reviews
    )
    return reviewed or bool(subjects & asked)


def _named_people(facts: ApprovalFacts, item: RoleVerdict) -> list[str]:
    day = facts.now.date()
    holders = {account.login.casefold(): account for account in holder_accounts(facts, item.role, day)}
    standing_in = [entry.login for entry in item.role.designates if entry.active_on(day)]
    for logins in (item.role.people, standing_in):
        able = [holders[login.casefold()] for login in logins if login.casefold() in holders]
        able = [account for account in able if not why_not(facts, account)]
        if able:
            return [account.login for account in able]
    return []


def evaluate(facts: ApprovalFacts) -> Decision:
    """Decide what has been approved and what is missing."""
    head = facts.change_at(facts.pull.head)
    if head is not None and not head.problem and not head.changes:
        return Decision(
            StatusState.SUCCESS,
            "Not applicable: no schema file that needs approval is changed",
            applicable=False,
        )
    namings = {review.id: naming_of(facts, author, review) for author, review in verdict_reviews(facts)}
    roles = tuple(_role(facts, role, namings) for role in facts.policy.roles)
    if facts.policy.distinct:
        roles = _distinct(roles)
    roles = tuple(_finish(facts, item) for item in roles)
    notes = list(facts.notes)
    state = _state(facts, roles)
    if head is None or head.problem:
        state = StatusState.ERROR
        notes.append(f"The schema change at {facts.pull.head[:8]} could not be read.")
    gone = sum(1 for review in facts.reviews if review.author is None)
    if gone:
        notes.append(f"{gone} review{'s' if gone > 1 else ''} by accounts that no longer exist do not count.")
    notes.extend(
        f"The policy names {login}, which is not an account; update renamed logins there."
        for login in facts.unknown_people
    )
    return Decision(
        state=state,
        description=describe(state, roles, draft=facts.pull.draft),
        applicable=True,
        roles=roles,
        others=_others(facts, roles, namings),
        notes=tuple(notes),
    )


def _role(facts: ApprovalFacts, role: Role, namings: dict[int, ReviewRoles]) -> RoleVerdict:
    """Evaluate every review for one role; `distinct` and warnings come later."""
    seen: list[ReviewVerdict] = []
    latest: dict[str, int] = {}
    for author, review in verdict_reviews(facts):
        naming, person = namings[review.id], author.login.casefold()
        blocked = person in latest and seen[latest[person]].effect is ReviewEffect.BLOCKS
        speaks = role in naming.roles
        # An approval that names no role removes its author's block, and keeps their earlier approval.
        lifts = blocked and review.state is ReviewState.APPROVED and not named_in(review.body)
        if speaks:
            verdict = _review(facts, role, author, review)
        elif naming.problem and holds(facts, role, author, (review.submitted_at or facts.now).date()):
            verdict = _verdict(author, review, ReviewEffect.REJECTED, f"does not count: {naming.problem}")
        elif lifts:
            reason = f"does not count: {author.login} no longer holds {role.title}; it lifts the block"
            verdict = _verdict(author, review, ReviewEffect.REJECTED, reason)
        else:
            continue
        if person in latest and (speaks or lifts):
            old = seen[latest[person]]
            reason = f"{old.reason}; a later review by the same person replaces it"
            seen[latest[person]] = replace(old, effect=ReviewEffect.SUPERSEDED, reason=reason)
        seen.append(verdict)
        if speaks or lifts:
            latest[person] = len(seen) - 1
    return _outcome(facts, role, tuple(seen))


def _review(facts: ApprovalFacts, role: Role, author: Account, review: Review) -> ReviewVerdict:
    if review.state is ReviewState.DISMISSED:
        return _verdict(author, review, ReviewEffect.DISMISSED, "was dismissed")
    if review.state is ReviewState.CHANGES_REQUESTED:
        return _verdict(author, review, ReviewEffect.BLOCKS, "requests changes")
    if reason := why_not(facts, author):
        return _verdict(author, review, ReviewEffect.REJECTED, f"does not count: {author.login} {reason}")
    sticky = stickiness(facts, role, review.commit)
    if sticky.holds:
        verdict = _verdict(author, review, ReviewEffect.COUNTS, f"counts, {sticky.reason}")
        return replace(verdict, kept=sticky.kept)
    return _verdict(author, review, ReviewEffect.STALE, f"no longer holds: {sticky.reason}")


def _verdict(author: Account, review: Review, effect: ReviewEffect, reason: str) -> ReviewVerdict:
    return ReviewVerdict(
        review=review.id,
        author=author,
        effect=effect,
        reason=reason,
        commit=review.commit,
        submitted_at=review.submitted_at,
        url=review.url,
    )


def _outcome(facts: ApprovalFacts, role: Role, reviews: tuple[ReviewVerdict, ...]) -> RoleVerdict:
    def of(effect: ReviewEffect) -> list[ReviewVerdict]:
        return [item for item in reviews if item.effect is effect]

    if problems := unreadable_teams(facts, role):
        reason = f"the members of its team could not be read ({'; '.join(problems)})"
        return RoleVerdict(role, RoleOutcome.ERROR, reason, reviews)
    if blocking := of(ReviewEffect.BLOCKS):
        who = " and ".join(item.author.login for item in blocking)
        verb = "requests" if len(blocking) == 1 else "request"
        return RoleVerdict(role, RoleOutcome.BLOCKED, f"{who} {verb} changes", reviews)
    if counting := of(ReviewEffect.COUNTS):
        approver = counting[0]
        return RoleVerdict(
            role, RoleOutcome.APPROVED, f"approved by {approver.author.login}", reviews, approver=approver
        )
    if stale := of(ReviewEffect.STALE):
        reason = f"the approval by {stale[-1].author.login} {stale[-1].reason}"
        return RoleVerdict(role, RoleOutcome.STALE, reason, reviews)
    reason = "no approval counts" if of(ReviewEffect.REJECTED) else "nobody has approved yet"
    return RoleVerdict(role, RoleOutcome.MISSING, reason, reviews)


def _distinct(roles: tuple[RoleVerdict, ...]) -> tuple[RoleVerdict, ...]:
    """Assign a different person to each approved role; unapprove roles without one."""
    counting = {
        item.role.id: {
            review.author.login.casefold(): review
            for review in item.reviews
            if review.effect is ReviewEffect.COUNTS
        }
        for item in roles
        if item.outcome is RoleOutcome.APPROVED
    }
    chosen = assign({role: list(people) for role, people in counting.items()})
    result = []
    for item in roles:
        if item.outcome is not RoleOutcome.APPROVED:
            result.append(item)
        elif item.role.id in chosen:
            review = counting[item.role.id][chosen[item.role.id]]
            result.append(replace(item, approver=review, reason=f"approved by {review.author.login}"))
        else:
            who = " and ".join(review.author.login for review in counting[item.role.id].values())
            reason = f"{who} already approved for another role, and the policy asks for different people"
            result.append(replace(item, outcome=RoleOutcome.MISSING, reason=reason, approver=None))
    return tuple(result)


def _finish(facts: ApprovalFacts, item: RoleVerdict) -> RoleVerdict:
    """Add who can still approve, the warning, and the note on a label set by hand."""
    if item.outcome is RoleOutcome.ERROR:
        return item
    counting = {
        review.author.login.casefold() for review in item.reviews if review.effect is ReviewEffect.COUNTS
    }
    able = tuple(login for login in eligible(facts, item.role) if login.casefold() not in counting)
    if item.outcome is RoleOutcome.APPROVED:
        return replace(item, eligible=able)
    # Where an approval counts and only a block remains, nobody else is needed.
    warning = "" if counting else _warning(facts, item.role, able)
    return replace(item, eligible=able, warning=warning, label_word=label_word(facts, item.role))


def _warning(facts: ApprovalFacts, role: Role, able: tuple[str, ...]) -> str:
    if len(able) > 1:
        return ""
    if able:
        return f"{able[0]} is the only person who can approve for {role.title}"
    holders = holder_accounts(facts, role, facts.now.date())
    if not holders:
        return f"nobody holds {role.title}: add people or a team to the role in the policy"
    reasons = "; ".join(f"{holder.login} {why}" for holder in holders if (why := why_not(facts, holder)))
    return f"no eligible person is left for {role.title}" + (f": {reasons}" if reasons else "")


def _state(facts: ApprovalFacts, roles: tuple[RoleVerdict, ...]) -> StatusState:
    """Conclude the state from the roles; a draft never succeeds (rule A7)."""
    outcomes = {item.outcome for item in roles}
    if RoleOutcome.ERROR in outcomes:
        return StatusState.ERROR
    if RoleOutcome.BLOCKED in outcomes:
        return StatusState.FAILURE
    if outcomes <= {RoleOutcome.APPROVED} and not facts.pull.draft:
        return StatusState.SUCCESS
    return StatusState.PENDING


def _others(
    facts: ApprovalFacts, roles: tuple[RoleVerdict, ...], namings: dict[int, ReviewRoles]
) -> tuple[ReviewVerdict, ...]:
    used = {review.review for item in roles for review in item.reviews}
    found = []
    for author, review in verdict_reviews(facts):
        if review.id not in used:
            why = namings[review.id].problem or f"{author.login} holds none of the roles"
            found.append(_verdict(author, review, ReviewEffect.REJECTED, f"does not count: {why}"))
    return tuple(found)
