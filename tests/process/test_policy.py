"""Who owns the steps: the section ``process`` with its defaults."""

from __future__ import annotations

from typing import Any

import pytest

from consdb_actions.errors import InputError
from consdb_actions.process.policy import BY_ID, DEFAULT_POLICY, STEPS
from tests.support.configuration import section


def test_without_a_section_the_defaults_are_consdbs() -> None:
    assert section("process", {}) == DEFAULT_POLICY
    assert {rule.step for rule in DEFAULT_POLICY.rules} == {step.id for step in STEPS}
    assert DEFAULT_POLICY.environments == ("base", "summit", "usdfdev", "usdfint", "usdfprod")
    assert "tucson-teststand" in DEFAULT_POLICY.shown


def test_a_role_that_names_nobody_is_held_by_the_people_of_the_approvals() -> None:
    roles = [{"id": "de"}, {"id": "po"}, {"id": "consdb", "people": ["carl"], "teams": ["lsst/consdb"]}]
    assert section("process", {}, approvals={"roles": roles}).owner("consdb").people == ("carl",)
    named = section("process", {"roles": [{"id": "consdb", "people": ["cleo"]}]}, approvals={"roles": roles})
    assert (named.owner("consdb").people, named.owner("consdb").teams) == (("cleo",), ())


def test_who_owns_a_step_attests_to_it_unless_others_are_named() -> None:
    values: dict[str, Any] = {
        "roles": [{"id": "summit", "people": ["sam"]}],
        "steps": {"summit": {"owner": "summit"}, "bts": {"attested_by": ["summit", "consdb"]}},
    }
    policy = section("process", values)
    assert policy.rule(BY_ID["summit"]).attested_by == ("summit",)
    assert policy.rule(BY_ID["bts"]).owner == "consdb"
    assert policy.rule(BY_ID["bts"]).attested_by == ("summit", "consdb")


def test_environments_are_those_of_the_stages() -> None:
    deploy = {"stages": [{"name": "all", "environments": ["base", "usdfprod"]}]}
    policy = section("process", {}, deploy=deploy)
    assert (policy.environments, policy.tap_environments) == (("base", "usdfprod"), ("usdfprod",))
    with pytest.raises(InputError, match='the environment "summit" is in no stage'):
        section("process", {"environments": ["summit"]}, deploy=deploy)


@pytest.mark.parametrize(
    ("texts", "ticket"),
    [
        (("tickets/DM-12345",), "DM-12345"),
        (("tickets/OSW-7-latiss", "DM-1: x"), "OSW-7"),
        (("u/me/x", "[DM-1] Add OSW-2"), "DM-1"),
        (("XDM-1", "DM-x"), ""),
        (("tickets/DM-1a",), ""),
    ],
)
def test_the_ticket_is_found_in_branch_and_title(texts: tuple[str, ...], ticket: str) -> None:
    assert DEFAULT_POLICY.ticket_in(*texts) == ticket


@pytest.mark.parametrize(
    ("paths", "components"),
    [
        (("alembic/latiss/versions/a.py",), ("pq",)),
        (("python/lsst/consdb/hinfo.py",), ("pq", "hinfo")),
        ((), ()),
    ],
)
def test_a_component_is_deployed_for_what_is_in_its_image(
    paths: tuple[str, ...], components: tuple[str, ...]
) -> None:
    assert DEFAULT_POLICY.components(paths) == components
