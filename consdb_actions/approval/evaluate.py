"""Decide a pull request's approvals (rules A1 to A9)."""

from __future__ import annotations

from dataclasses import replace

from consdb_actions.approval.facts import Account, Facts, Review, ReviewState
from consdb_actions.approval.labels import label_word
from consdb_actions.approval.matching import assign
from consdb_actions.approval.naming import Naming, named_in, naming_of, verdict_reviews
from consdb_actions.approval.people import eligible, holder_accounts, holds, unreadable_teams, why_not
from consdb_actions.approval.policy import Role
from consdb_actions.approval.stickiness import stickiness
from consdb_actions.approval.summary import describe
from consdb_actions.approval.verdict import (
    Decision,
    Outcome,
    ReviewVerdict,
    RoleVerdict,
    Standing,
    State,
)

__all__ = ["evaluate"]


def evaluate(facts: Facts) -> Decision:
    """Decide what has been approved and what is missing."""
    head = facts.change_at(facts.pull.head)
    if head is not None and not head.problem and not head.changes:
        return Decision(
            State.SUCCESS, "Not applicable: no schema file that needs approval is changed", applicable=False
        )
    namings = {review.id: naming_of(facts, author, review) for author, review in verdict_reviews(facts)}
    roles = tuple(_role(facts, role, namings) for role in facts.policy.roles)
    if facts.policy.distinct:
        roles = _distinct(roles)
    roles = tuple(_finish(facts, item) for item in roles)
    notes = list(facts.notes)
    state = _state(facts, roles)
    if head is None or head.problem:
        state = State.ERROR
        notes.append(f"The schema change at {facts.pull.head[:8]} could not be read.")
    gone = sum(1 for review in facts.reviews if review.author is None)
    if gone:
        notes.append(f"{gone} review{'s' if gone > 1 else ''} by accounts that no longer exist do not count.")
    notes.extend(
        f"The policy names {login}, which is no account (any more); after a change of login, change it there."
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


def _role(facts: Facts, role: Role, namings: dict[int, Naming]) -> RoleVerdict:
    """Evaluate every review for one role; `distinct` and warnings come later."""
    seen: list[ReviewVerdict] = []
    latest: dict[str, int] = {}
    for author, review in verdict_reviews(facts):
        naming, person = namings[review.id], author.login.casefold()
        blocked = person in latest and seen[latest[person]].standing is Standing.BLOCKS
        speaks = role in naming.roles
        # An approval that names no role removes its author's block, and keeps their earlier approval.
        lifts = blocked and review.state is ReviewState.APPROVED and not named_in(review.body)
        if speaks:
            verdict = _review(facts, role, author, review)
        elif naming.problem and holds(facts, role, author, (review.submitted_at or facts.now).date()):
            verdict = _verdict(author, review, Standing.REJECTED, f"does not count: {naming.problem}")
        elif lifts:
            reason = f"does not count: {author.login} no longer holds {role.title}; it lifts the block"
            verdict = _verdict(author, review, Standing.REJECTED, reason)
        else:
            continue
        if person in latest and (speaks or lifts):
            old = seen[latest[person]]
            reason = f"{old.reason}; a later review by the same person replaces it"
            seen[latest[person]] = replace(old, standing=Standing.SUPERSEDED, reason=reason)
        seen.append(verdict)
        if speaks or lifts:
            latest[person] = len(seen) - 1
    return _outcome(facts, role, tuple(seen))


def _review(facts: Facts, role: Role, author: Account, review: Review) -> ReviewVerdict:
    if review.state is ReviewState.DISMISSED:
        return _verdict(author, review, Standing.DISMISSED, "was dismissed")
    if review.state is ReviewState.CHANGES_REQUESTED:
        return _verdict(author, review, Standing.BLOCKS, "requests changes")
    if reason := why_not(facts, author):
        return _verdict(author, review, Standing.REJECTED, f"does not count: {author.login} {reason}")
    sticky = stickiness(facts, role, review.commit)
    if sticky.holds:
        verdict = _verdict(author, review, Standing.COUNTS, f"counts, {sticky.reason}")
        return replace(verdict, kept=sticky.kept)
    return _verdict(author, review, Standing.STALE, f"no longer holds: {sticky.reason}")


def _verdict(author: Account, review: Review, standing: Standing, reason: str) -> ReviewVerdict:
    return ReviewVerdict(
        review=review.id,
        author=author,
        standing=standing,
        reason=reason,
        commit=review.commit,
        submitted_at=review.submitted_at,
        url=review.url,
    )


def _outcome(facts: Facts, role: Role, reviews: tuple[ReviewVerdict, ...]) -> RoleVerdict:
    def of(standing: Standing) -> list[ReviewVerdict]:
        return [item for item in reviews if item.standing is standing]

    if problems := unreadable_teams(facts, role):
        reason = f"the members of its team could not be read ({'; '.join(problems)})"
        return RoleVerdict(role, Outcome.ERROR, reason, reviews)
    if blocking := of(Standing.BLOCKS):
        who = " and ".join(item.author.login for item in blocking)
        verb = "requests" if len(blocking) == 1 else "request"
        return RoleVerdict(role, Outcome.BLOCKED, f"{who} {verb} changes", reviews)
    if counting := of(Standing.COUNTS):
        approver = counting[0]
        return RoleVerdict(
            role, Outcome.APPROVED, f"approved by {approver.author.login}", reviews, approver=approver
        )
    if stale := of(Standing.STALE):
        reason = f"the approval by {stale[-1].author.login} {stale[-1].reason}"
        return RoleVerdict(role, Outcome.STALE, reason, reviews)
    reason = "no approval counts" if of(Standing.REJECTED) else "nobody has approved yet"
    return RoleVerdict(role, Outcome.MISSING, reason, reviews)


def _distinct(roles: tuple[RoleVerdict, ...]) -> tuple[RoleVerdict, ...]:
    """Assign a different person to each approved role; unapprove roles without one."""
    counting = {
        item.role.id: {
            review.author.login.casefold(): review
            for review in item.reviews
            if review.standing is Standing.COUNTS
        }
        for item in roles
        if item.outcome is Outcome.APPROVED
    }
    chosen = assign({role: list(people) for role, people in counting.items()})
    result = []
    for item in roles:
        if item.outcome is not Outcome.APPROVED:
            result.append(item)
        elif item.role.id in chosen:
            review = counting[item.role.id][chosen[item.role.id]]
            result.append(replace(item, approver=review, reason=f"approved by {review.author.login}"))
        else:
            who = " and ".join(review.author.login for review in counting[item.role.id].values())
            reason = f"{who} already approved for another role, and the policy asks for different people"
            result.append(replace(item, outcome=Outcome.MISSING, reason=reason, approver=None))
    return tuple(result)


def _finish(facts: Facts, item: RoleVerdict) -> RoleVerdict:
    """Add who can still approve, the warning, and the note on a label set by hand."""
    if item.outcome is Outcome.ERROR:
        return item
    counting = {
        review.author.login.casefold() for review in item.reviews if review.standing is Standing.COUNTS
    }
    able = tuple(login for login in eligible(facts, item.role) if login.casefold() not in counting)
    if item.outcome is Outcome.APPROVED:
        return replace(item, eligible=able)
    # Where an approval counts and only a block remains, nobody else is needed.
    warning = "" if counting else _warning(facts, item.role, able)
    return replace(item, eligible=able, warning=warning, label_word=label_word(facts, item.role))


def _warning(facts: Facts, role: Role, able: tuple[str, ...]) -> str:
    if len(able) > 1:
        return ""
    if able:
        return f"{able[0]} is the only person who can approve for {role.title}"
    holders = holder_accounts(facts, role, facts.now.date())
    if not holders:
        return f"nobody holds {role.title}: add people or a team to the role in the policy"
    reasons = "; ".join(f"{holder.login} {why}" for holder in holders if (why := why_not(facts, holder)))
    return f"nobody is left who can approve for {role.title}" + (f": {reasons}" if reasons else "")


def _state(facts: Facts, roles: tuple[RoleVerdict, ...]) -> State:
    """Conclude the state from the roles; a draft never succeeds (rule A7)."""
    outcomes = {item.outcome for item in roles}
    if Outcome.ERROR in outcomes:
        return State.ERROR
    if Outcome.BLOCKED in outcomes:
        return State.FAILURE
    if outcomes <= {Outcome.APPROVED} and not facts.pull.draft:
        return State.SUCCESS
    return State.PENDING


def _others(
    facts: Facts, roles: tuple[RoleVerdict, ...], namings: dict[int, Naming]
) -> tuple[ReviewVerdict, ...]:
    used = {review.review for item in roles for review in item.reviews}
    found = []
    for author, review in verdict_reviews(facts):
        if review.id not in used:
            why = namings[review.id].problem or f"{author.login} holds none of the roles"
            found.append(_verdict(author, review, Standing.REJECTED, f"does not count: {why}"))
    return tuple(found)
