"""Plan the pull requests of a stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from consdb_actions.deploy.model import (
    PULL_POLICY,
    DeployPlan,
    DeployPolicy,
    DeployRefusal,
    DeployRequest,
    ImageTag,
    Slot,
    Stage,
    TagKind,
    UndeployedComponent,
    ValueChange,
    Values,
    WaitingEnvironment,
    chosen,
    datalink_url,
    edited,
    read_tag,
    slots,
    values_file,
    waiting_before,
    waiting_words,
)
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.release.notes import ReleaseNotes


@dataclass(frozen=True, slots=True)
class TagContents:
    """The content of a tag since an earlier one."""

    repository: str
    since: str = ""  # the earlier tag; empty if there is none to compare with
    notes: ReleaseNotes | None = None  # pull requests and migrations of a consdb release
    schemas: tuple[str, ...] = ()  # changed schema files of an sdm_schemas release
    problem: str = ""  # why the content is unknown


def replaced_by(plan: DeployPlan, known: Iterable[str] = ()) -> ImageTag | None:
    """Return the tag to compare a deployment with.

    It is the oldest tag that is replaced, or the newest known one before the deployed tag if none that is
    replaced is older. None for a mutable tag.
    """
    wanted = plan.request.tag
    if not wanted.is_fixed:
        return None
    moved = [change for change in plan.changes if change.what != PULL_POLICY and change.enabled]
    olds = [read_tag(change.old) for change in moved]
    older = [tag for tag in olds if tag.is_older_than(wanted)]
    if older:
        return min(older, key=lambda tag: tag.order)
    if olds and all(tag.is_fixed for tag in olds):
        return None  # It is a rollback, or changes disabled components only.
    before = [tag for tag in map(read_tag, known) if tag.is_older_than(wanted)]
    return max(before, key=lambda tag: tag.order, default=None)


def refused_tag(policy: DeployPolicy, plan: DeployPlan) -> tuple[tuple[str, ...], list[DeployRefusal]]:
    """Refuse a mutable tag in environments for releases only, unless waived (rule R5)."""
    request = plan.request
    strict = tuple(
        name for name in dict.fromkeys(change.environment for change in plan.changes) if name in policy.strict
    )
    if request.tag.is_fixed or not strict:
        return (), []
    where, until = " and ".join(strict), request.waive_until
    what = "main" if request.tag.kind is TagKind.MAIN else f"{request.tag.text}, a tag that can move"
    if until is None:
        return (), [
            DeployRefusal(
                "R5",
                f"{where} runs releases only, and this is {what}",
                "Deploy a release; or give its last day with --waive-until YYYY-MM-DD.",
            )
        ]
    if problem := waiver_problem(policy, until, request.today):
        return (), [
            DeployRefusal(
                "R5",
                f"the waiver for {where} ends on {until}, which is {problem}",
                "Give --waive-until a day within that time.",
            )
        ]
    return strict, []


def waiver_problem(policy: DeployPolicy, until: date, today: date) -> str:
    """Return why the end of a waiver is invalid; empty if valid."""
    days = (until - today).days
    if days < 0:
        return "past"
    return f"more than {policy.longest_waiver} days away" if days > policy.longest_waiver else ""


def refused_order(
    request: DeployRequest, stage: Stage, waiting: tuple[WaitingEnvironment, ...]
) -> list[DeployRefusal]:
    """Refuse to skip an unfinished stage, unless forced (rule R6)."""
    if not waiting or request.force_order:
        return []
    first = waiting[0]
    return [
        DeployRefusal(
            "R6",
            f"{stage.name} comes after {first.stage}, and {first.stage} is not finished: "
            + waiting_words(item for item in waiting if item.stage == first.stage),
            f"Deploy {first.stage} first (--stage {first.stage}); or skip it with --force-order, which is "
            "written into the pull request.",
        )
    ]


@dataclass(frozen=True, slots=True)
class TicketImage:
    """A ticket image and its environments of one stage."""

    tag: ImageTag
    environments: tuple[str, ...]


def ticket_image(
    policy: DeployPolicy,
    values: Mapping[str, Values],
    *,
    stage: str = "",
    environments: tuple[str, ...] = (),
) -> TicketImage | None:
    """Find the ticket image to replace.

    Without a place, the first stage that has one is used. Returns None if every environment runs a weekly
    tag.
    """
    for name in environments:
        if name not in values:
            policy.stage_of(name)
            raise InputError(f"consdbtap has no values file for {name}", place="--env")
    groups: list[tuple[str, ...]] = [item.environments for item in policy.stages]
    if stage:
        groups = [policy.stage(stage).environments]
    elif environments:
        groups = [environments]
    for group in groups:
        found: dict[str, list[str]] = {}
        for name in (name for name in policy.environments if name in group and name in values):
            schema = next(slot for slot in slots("consdbtap", values[name]) if slot.component == "tap-schema")
            if read_tag(values[name].tag(schema)).kind is TagKind.TICKET:
                found.setdefault(values[name].tag(schema), []).append(name)
        if len(found) > 1:
            text = "; ".join(f"{', '.join(names)}: {tag}" for tag, names in found.items())
            raise CheckFailed(
                f"these environments run different ticket images: {text}",
                remedy="Name those that belong together with --env.",
            )
        for tag, names in found.items():
            return TicketImage(read_tag(tag), tuple(names))
    return None


def candidates(tags: Iterable[str], merged: date) -> tuple[str, ...]:
    """Return the weekly tags that may contain a merge, earliest first.

    Weeks that ended more than a week before the merge are left out.
    """
    year, week, _ = (merged - timedelta(days=7)).isocalendar()
    weeks = [tag for tag in map(read_tag, tags) if tag.kind is TagKind.WEEKLY and tag.order >= (year, week)]
    return tuple(tag.text for tag in sorted(weeks, key=lambda tag: tag.order))


# Components of each application; those of hinfo have an instrument after a dot.
COMPONENTS = {"consdb": ("hinfo", "pq"), "consdbtap": ("tap-schema", "datalink")}


def check_request(policy: DeployPolicy, request: DeployRequest) -> None:
    """Check a request against the policy alone, before values files are read."""
    if (request.stage and request.environments) or not (
        request.stage or request.environments or request.repin
    ):
        raise nowhere(policy)
    if request.stage:
        policy.stage(request.stage)
    for name in request.environments:
        policy.stage_of(name)
    known = COMPONENTS[request.app]
    for name in request.components:
        if name.partition(".")[0] not in known:
            raise InputError(
                f'{request.app} has no component "{name[:100]}"',
                place="--component",
                remedy=f"It has {' and '.join(known)}.",
            )
    until = request.waive_until
    if until is not None and (problem := waiver_problem(policy, until, request.today)):
        raise InputError(
            f"the waiver ends on {until}, which is {problem}",
            place="--waive-until",
            remedy=f"Give a day from {request.today} on, at most {policy.longest_waiver} days away.",
        )


def nowhere(policy: DeployPolicy) -> InputError:
    """Return the error for a request without a place, or with two."""
    return InputError(
        "give either a stage or environments",
        place="--stage, --env",
        remedy=f"The stages are {', '.join(stage.name for stage in policy.stages)}.",
    )


def make_plan(policy: DeployPolicy, request: DeployRequest, values: Mapping[str, Values]) -> DeployPlan:
    """Plan a deployment.

    The refusals are those that values files show; `with_found` adds those from registries. Raises
    `InputError` for an unknown stage, environment or component, and for a values file that cannot be edited.
    """
    stage, names, refusals = _where(policy, request, values)
    wanted = {name: _slots(request, values[name]) for name in names}
    components = tuple(dict.fromkeys(s.component for n in names for s in slots(request.app, values[n])))
    unknown = [
        name
        for name in request.components
        if not any(name in (part, part.partition(".")[0]) for part in components)
    ]
    if unknown or not components:
        raise InputError(
            f"{request.app} has no component {', '.join(unknown)} at {' and '.join(names)}".replace(
                "  ", " "
            ),
            place="--component",
            remedy=f"It has {', '.join(components)}." if components else "Its values files name none.",
        )
    changes: list[ValueChange] = []
    files: dict[str, str] = {}
    for name in names:
        try:
            text, made = edited(request.app, values[name], wanted[name], request.tag, policy.sdm_schemas)
        except InputError:
            asked = tuple(
                ValueChange(name, slot.component, "tag", values[name].tag(slot), request.tag.text)
                for slot in wanted[name]
            )
            plan = DeployPlan(request, stage, names, asked, {}, components)
            refused = refused_tag(policy, plan)[1]
            if not refused:
                raise
            return replace(plan, refusals=tuple(refused))  # That comes first, whatever the file looks like.
        changes += made
        if made:
            files[values_file(request.app, name)] = text
    plan = DeployPlan(request, stage, names, tuple(changes), files, components)
    if not changes:
        return replace(plan, left=_left(policy, plan, values))
    waived, by_tag = refused_tag(policy, plan)
    waiting: tuple[WaitingEnvironment, ...] = ()
    if request.tag.is_fixed or waived:
        # A test of a branch is not a roll-out and has no order.
        moving = {c.component for c in changes if c.enabled and c.what != PULL_POLICY}
        waiting = waiting_before(policy, stage, request.app, moving, request.tag, values)
    refusals += [*by_tag, *refused_order(request, stage, waiting)]
    images = [
        (values[c.environment].image(slot), request.tag.text)
        for c in changes
        for slot in wanted[c.environment]
        if slot.component == c.component and slot.source and c.is_tag
    ]
    links = [change for change in changes if change.component == "datalink"]
    return replace(
        plan,
        images=tuple(dict.fromkeys(images)),
        datalink=datalink_url(policy.sdm_schemas, request.tag.text) if links else "",
        waiting=waiting,
        waived=waived,
        left=_left(policy, plan, values),
        refusals=tuple(refusals),
    )


def with_found(
    plan: DeployPlan, missing: tuple[tuple[str, str], ...], *, datalink: bool = True
) -> DeployPlan:
    """Add refusals for missing images and datalink snippets (rule R4)."""
    refusals = [
        DeployRefusal(
            "R4",
            f"there is no image {image}:{tag}" if image else "the values files name no image",
            "Wait until it is built, or check the tag; nothing has been changed.",
        )
        for image, tag in missing
    ]
    if plan.datalink and not datalink:
        refusals.append(
            DeployRefusal(
                "R4",
                f"there is no {plan.datalink}",
                "The release has no datalink snippets; deploy another tag, or --component tap-schema alone.",
            )
        )
    return replace(plan, refusals=(*plan.refusals, *refusals))


def _where(
    policy: DeployPolicy, request: DeployRequest, values: Mapping[str, Values]
) -> tuple[Stage, tuple[str, ...], list[DeployRefusal]]:
    if bool(request.stage) == bool(request.environments):
        raise nowhere(policy)
    if request.stage:
        stage = policy.stage(request.stage)
        names = tuple(name for name in stage.environments if name in values)
        if not names:
            raise InputError(f"{request.app} does not run in the stage {stage.name}", place="--stage")
        return stage, names, []
    stages = [policy.stage_of(name) for name in request.environments]
    for name in request.environments:
        if name not in values:
            raise InputError(
                f"{request.app} has no values file for {name}",
                place="--env",
                remedy=f"It runs at {', '.join(values)}." if values else "",
            )
    # In the order of the policy, without duplicates.
    names = tuple(name for name in policy.environments if name in request.environments)
    kept = [name for name in names if policy.stage_of(name) is stages[0]]
    if len(kept) == len(names):
        return stages[0], names, []
    others = " and ".join(dict.fromkeys(stage.name for stage in stages))
    refusal = DeployRefusal(
        "R3",
        f"these environments belong to different stages: {others}",
        "A pull request is for one stage. Run this once for each, in their order.",
    )
    return stages[0], names, [refusal]


def _slots(request: DeployRequest, values: Values) -> tuple[Slot, ...]:
    found = chosen(slots(request.app, values), request.components)
    # Only releases of sdm_schemas have datalink snippets.
    named = "datalink" in request.components
    if named and not request.tag.is_fixed:
        raise InputError(
            f"there are no datalink snippets for {request.tag.text}",
            place="--component",
            remedy="Omit datalink; it is set with the release that replaces the ticket image.",
        )
    return tuple(slot for slot in found if not slot.is_datalink or request.tag.is_fixed)


def _left(
    policy: DeployPolicy, plan: DeployPlan, values: Mapping[str, Values]
) -> tuple[UndeployedComponent, ...]:
    """List components without the tag afterwards, in these environments and in later stages."""
    tag, app = plan.request.tag, plan.request.app
    changed = {(change.environment, change.component) for change in plan.changes}
    position = policy.stages.index(plan.stage)
    found = []
    for name in policy.environments:
        later = policy.stages.index(policy.stage_of(name)) > position
        if name not in values or not (later or name in plan.environments):
            continue
        for slot in slots(app, values[name]):
            has = values[name].tag(slot)
            same = has == tag.text or (slot.is_datalink and not tag.is_fixed)
            if (name, slot.component) not in changed and not same and values[name].is_enabled(slot):
                found.append(UndeployedComponent(name, slot.component, has, later))
    return tuple(found)
