"""The policy: defaults, what a section replaces, which files it looks after, who is meant by a word."""

from __future__ import annotations

from datetime import date

import pytest

from consdb_actions.adapters.typed_files import parse_config
from consdb_actions.approval.facts import DEFAULT_POLICY, Concern, Designate
from consdb_actions.errors import InputError
from tests.support.configuration import section


def test_the_defaults_are_consdbs_three_roles() -> None:
    assert section("approvals", {}) == DEFAULT_POLICY
    assert [(role.id, role.label) for role in DEFAULT_POLICY.roles] == [
        ("de", "approved: data-engineering"),
        ("po", "approved: product-owner"),
        ("consdb", "approved: consdb"),
    ]
    assert [set(role.concerns) for role in DEFAULT_POLICY.roles] == [
        {Concern.STRUCTURE, Concern.TEXT},
        {Concern.STRUCTURE},
        {Concern.STRUCTURE},
    ]
    assert not DEFAULT_POLICY.distinct


def test_a_list_of_roles_replaces_the_list_and_a_known_id_keeps_what_is_left_out() -> None:
    policy = section(
        "approvals", {"roles": [{"id": "po", "people": ["x"]}, {"id": "qa", "color": "#FF0000"}]}
    )
    assert [(role.id, role.title, role.label, role.color) for role in policy.roles] == [
        ("po", "ConsDB Product Owner", "approved: product-owner", "0e8a16"),
        ("qa", "qa", "approved: qa", "FF0000"),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("python/lsst/sdm/schemas/cdb_latiss.yaml", True),
        ("python/lsst/sdm/schemas/efd_latiss.yaml", True),
        ("yml/cdb_latiss.yaml", True),
        ("python/lsst/sdm/schemas/dp1.yaml", False),
        ("python/lsst/sdm/schemas/old/cdb_latiss.yaml", False),
        ("cdb_latiss.yaml", False),
        ("python/lsst/sdm/schemas/cdb_latiss.yaml.orig", False),
    ],
)
def test_the_files_that_need_approval(path: str, expected: bool) -> None:
    assert DEFAULT_POLICY.matches(path) is expected


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("po", "po"),
        ("Product Owner", "po"),
        ("ConsDB product owner", "po"),
        ("data-engineering", "de"),
        ("consdb", "consdb"),
        ("ConsDB team", "consdb"),
        ("", None),
        ("boss", None),
    ],
)
def test_a_word_names_a_role_by_id_label_or_title(word: str, role: str | None) -> None:
    found = DEFAULT_POLICY.role_named(word)
    assert (found.id if found else None) == role


@pytest.mark.parametrize("until", ["2026-12-31", "'2026-12-31'"])
def test_a_designate_ends_after_the_day(until: str) -> None:
    policy = parse_config(
        f"approvals: {{roles: [{{id: po, designates: [{{login: x, until: {until}}}]}}]}}", source="c.yaml"
    ).approvals
    assert policy.roles[0].designates == (Designate("x", date(2026, 12, 31)),)
    assert policy.roles[0].designates[0].active_on(date(2026, 12, 31))
    assert not policy.roles[0].designates[0].active_on(date(2027, 1, 1))
    assert Designate("x").active_on(date.max)


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ([{"id": "a"}, {"id": "a"}], 'can both be called "a"'),
        ([{"id": "a"}, {"id": "b", "label": "approved: A"}], 'can both be called "a"'),
        ([{"id": "a", "designates": [{"login": "x", "until": "2026-02-30"}]}], "not a day of the calendar"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_place(roles: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        section("approvals", {"roles": roles})
    assert caught.value.cause.startswith("approvals.roles[")
    assert caught.value.place.startswith("c.yaml:1:")
