"""Plan a deployment and decide whether it is allowed (rules R3 to R6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from consdb_actions.deploy.changes import PULL_POLICY, Change, edited
from consdb_actions.deploy.components import Slot, Values, chosen, datalink_url, slots, values_file
from consdb_actions.deploy.model import Left, Plan, Refusal, Request
from consdb_actions.deploy.order import Waiting, waiting_before
from consdb_actions.deploy.policy import DeployPolicy, Stage
from consdb_actions.deploy.refusals import refused_order, refused_tag, waiver_problem
from consdb_actions.errors import InputError

__all__ = ["check_request", "make_plan", "nowhere", "with_found"]

COMPONENTS = {"consdb": ("hinfo", "pq"), "consdbtap": ("tap-schema", "datalink")}
"""Components of each application; those of hinfo have an instrument after a dot."""


def check_request(
    policy: DeployPolicy,
    app: str,
    *,
    today: date,
    stage: str = "",
    environments: Sequence[str] = (),
    components: Sequence[str] = (),
    waive_until: date | None = None,
) -> None:
    """Check a request against the policy alone, before values files are read.

    Raises `InputError` for an unknown stage, environment or component and for an invalid end of a waiver.
    """
    if stage and environments:
        raise nowhere(policy)
    if stage:
        policy.stage(stage)
    for name in environments:
        policy.stage_of(name)
    known = COMPONENTS[app]
    for name in components:
        if name.partition(".")[0] not in known:
            raise InputError(
                f'{app} has no component "{name[:100]}"',
                place="--component",
                remedy=f"It has {' and '.join(known)}.",
            )
    if waive_until is not None and (problem := waiver_problem(policy, waive_until, today)):
        raise InputError(
            f"the waiver ends on {waive_until}, which is {problem}",
            place="--waive-until",
            remedy=f"Give a day from {today} on, at most {policy.longest_waiver} days away.",
        )


def nowhere(policy: DeployPolicy) -> InputError:
    """Return the error for a request without a place, or with two."""
    return InputError(
        "say where: a stage or environments, and not both",
        place="--stage, --env",
        remedy=f"The stages are {', '.join(stage.name for stage in policy.stages)}.",
    )


def make_plan(policy: DeployPolicy, request: Request, values: Mapping[str, Values]) -> Plan:
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
    changes: list[Change] = []
    files: dict[str, str] = {}
    for name in names:
        try:
            text, made = edited(request.app, values[name], wanted[name], request.tag, policy.sdm_schemas)
        except InputError:
            asked = tuple(
                Change(name, slot.component, "tag", values[name].tag(slot), request.tag.text)
                for slot in wanted[name]
            )
            plan = Plan(request, stage, names, asked, {}, components)
            refused = refused_tag(policy, plan)[1]
            if not refused:
                raise
            return replace(plan, refusals=tuple(refused))  # That comes first, whatever the file looks like.
        changes += made
        if made:
            files[values_file(request.app, name)] = text
    plan = Plan(request, stage, names, tuple(changes), files, components)
    if not changes:
        return replace(plan, left=_left(policy, plan, values))
    waived, by_tag = refused_tag(policy, plan)
    waiting: tuple[Waiting, ...] = ()
    if request.tag.is_fixed or waived:
        # A test of a branch is not a roll-out and has no order.
        moving = {c.component for c in changes if c.enabled and c.what != PULL_POLICY}
        waiting = waiting_before(policy, stage, request.app, moving, request.tag, values)
    refusals += [*by_tag, *refused_order(request, stage, waiting)]
    images = [
        (values[c.environment].image(slot), request.tag.text)
        for c in changes
        for slot in wanted[c.environment]
        if slot.component == c.component and slot.image and c.is_tag
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


def with_found(plan: Plan, missing: tuple[tuple[str, str], ...], *, datalink: bool = True) -> Plan:
    """Add refusals for missing images and datalink snippets (rule R4)."""
    refusals = [
        Refusal(
            "R4",
            f"there is no image {image}:{tag}" if image else "the values files name no image",
            "Wait until it is built, or check the tag; nothing has been changed.",
        )
        for image, tag in missing
    ]
    if plan.datalink and not datalink:
        refusals.append(
            Refusal(
                "R4",
                f"there is no {plan.datalink}",
                "The release has no datalink snippets; deploy another tag, or --component tap-schema alone.",
            )
        )
    return replace(plan, refusals=(*plan.refusals, *refusals))


def _where(
    policy: DeployPolicy, request: Request, values: Mapping[str, Values]
) -> tuple[Stage, tuple[str, ...], list[Refusal]]:
    """Return stage and environments; refuse environments of two stages."""
    if bool(request.stage) == bool(request.environments):
        raise nowhere(policy)
    if request.stage:
        stage = policy.stage(request.stage)
        names = tuple(name for name in stage.environments if name in values)
        if not names:
            raise InputError(f"{request.app} runs nowhere in the stage {stage.name}", place="--stage")
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
    refusal = Refusal(
        "R3",
        f"these environments belong to different stages: {others}",
        "A pull request is for one stage. Run this once for each, in their order.",
    )
    return stages[0], names, [refusal]


def _slots(request: Request, values: Values) -> tuple[Slot, ...]:
    found = chosen(slots(request.app, values), request.components)
    # Only releases of sdm_schemas have datalink snippets.
    named = "datalink" in request.components
    if named and not request.tag.is_fixed:
        raise InputError(
            f"there are no datalink snippets for {request.tag.text}",
            place="--component",
            remedy="Leave datalink out; it is set with the release that replaces the ticket image.",
        )
    return tuple(slot for slot in found if not slot.is_datalink or request.tag.is_fixed)


def _left(policy: DeployPolicy, plan: Plan, values: Mapping[str, Values]) -> tuple[Left, ...]:
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
                found.append(Left(name, slot.component, has, later))
    return tuple(found)
