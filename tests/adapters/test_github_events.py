"""Event payloads: GitHub's published examples, and what nobody should be able to slip in."""

from __future__ import annotations

import json
import os
from typing import Any

import jsonschema
import pytest

from consdb_actions.adapters.github import EventTarget, target_of_event
from consdb_actions.errors import InputError
from tests.support.github.descriptions import UnavailableError, webhook_examples, webhook_schema
from tests.support.github.plugin import CACHE

SHA = "c" * 40
NAMED = {"repository": {"full_name": "lsst/sdm_schemas"}}


@pytest.fixture(scope="module")
def examples() -> list[dict[str, Any]]:
    os.environ["OPENAPI_CACHE_DIR"] = str(CACHE)
    try:
        found: list[dict[str, Any]] = json.loads(webhook_examples().read_text())
    except UnavailableError as error:
        pytest.skip(f"GitHub's published webhook examples are not at hand: {error}")
    return found


def test_every_published_example_parses_or_fails_with_a_clear_message(examples: list[dict[str, Any]]) -> None:
    parsed, refused = {}, {}
    for group in examples:
        for index, payload in enumerate(group["examples"]):
            try:
                parsed[group["name"], index] = target_of_event(payload, group["name"])
            except InputError as error:
                refused[group["name"], index] = error
    names = {name for name, _ in parsed}
    assert {
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "workflow_run",
        "check_run",
        "check_suite",
        "status",
        "workflow_dispatch",
    } <= names
    assert all(target.numbers or target.commit or target.everything for target in parsed.values())
    assert all(target.repository for target in parsed.values())
    for (name, _), refusal in refused.items():
        assert f"the event {name} is about no pull request" in refusal.cause
        assert "--pr" in refusal.remedy
    assert {"push", "release", "star"} <= {name for name, _ in refused}


def test_the_name_of_the_event_is_not_needed(examples: list[dict[str, Any]]) -> None:
    for group in examples:
        if group["name"].startswith("pull_request") or group["name"] == "workflow_run":
            for payload in group["examples"]:
                assert target_of_event(payload) == target_of_event(payload, group["name"])


def test_events_made_from_the_published_schema_parse(examples: list[dict[str, Any]]) -> None:
    """Every action that the workflows listen to, on an example that the schema still accepts."""
    schema = json.loads(webhook_schema().read_text())
    validator = jsonschema.Draft7Validator(
        {"$ref": "#/definitions/pull_request_event", "definitions": schema["definitions"]}
    )
    group = next(group for group in examples if group["name"] == "pull_request")
    payload = next(
        item for item in group["examples"] if item["action"] == "opened" and validator.is_valid(item)
    )
    for action in ("opened", "reopened", "converted_to_draft", "ready_for_review"):
        made = json.loads(json.dumps({**payload, "action": action}))
        made["pull_request"]["draft"] = action == "converted_to_draft"
        assert validator.is_valid(made), action
        assert target_of_event(made).numbers == (payload["number"],)


@pytest.mark.parametrize(
    ("payload", "name", "expected"),
    [
        ({**NAMED, "pull_request": {"number": 7}}, "pull_request", EventTarget("lsst/sdm_schemas", (7,))),
        ({"pull_request": {"number": 7}, "review": {}}, "", EventTarget("", (7,))),
        ({"issue": {"number": 7, "pull_request": {}}}, "", EventTarget("", (7,))),
        ({"workflow_run": {"head_sha": SHA, "pull_requests": []}}, "", EventTarget("", (), SHA)),
        ({"workflow_run": {"head_sha": SHA, "pull_requests": None}}, "", EventTarget("", (), SHA)),
        (
            {**NAMED, "workflow_run": {"head_sha": SHA, "pull_requests": [
                {"number": 7, "url": "https://api.github.com/repos/lsst/sdm_schemas/pulls/7"},
                {"number": 3, "url": "https://api.github.com/repos/mallory/sdm_schemas/pulls/3"},
            ]}},
            "",
            EventTarget("lsst/sdm_schemas", (7,)),
        ),
        ({"schedule": "0 5 * * *"}, "", EventTarget("", everything=True)),
        ({}, "schedule", EventTarget("", everything=True)),
        ({**NAMED, "inputs": {}}, "workflow_dispatch", EventTarget("lsst/sdm_schemas", everything=True)),
    ],
)  # fmt: skip
def test_targets(payload: dict[str, Any], name: str, expected: EventTarget) -> None:
    assert target_of_event(payload, name) == expected


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ([], "not the payload of an event"),
        (None, "not the payload of an event"),
        ({}, "about no pull request"),
        ({"issue": {"number": 7}}, "about no pull request"),
        ({"pull_request": {}}, "has no number"),
        ({"pull_request": {"number": "7; rm -rf /"}}, "has no number"),
        ({"pull_request": {"number": True}}, "has no number"),
        ({"pull_request": {"number": -1}}, "has no number"),
        ({"workflow_run": {"head_sha": "$(id)"}}, "40 hexadecimal digits"),
        ({"workflow_run": {}}, "40 hexadecimal digits"),
        ({"pull_request": {"number": 7}, "repository": {"full_name": "a b/c"}}, "no name like OWNER/NAME"),
        ({"pull_request": {"number": 7}, "repository": {"full_name": ["x"]}}, "no name like OWNER/NAME"),
    ],
)
def test_what_is_no_event_of_ours_fails_with_a_clear_message(payload: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        target_of_event(payload, place="event.json")
    assert caught.value.place == "event.json"
