from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from consdb_actions.adapters.typed_files import load_config, parse_config
from consdb_actions.adapters.yaml_tree import FileError
from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG, ConfigFile, GrantRule, ViewConfig
from consdb_actions.errors import InputError
from consdb_actions.forms import json_schema
from consdb_actions.process.policy import DEFAULT_POLICY
from consdb_actions.publication.source import name_migration
from consdb_actions.release.notes import tickets_in


def test_the_defaults_are_those_of_consdb() -> None:
    config = DEFAULT_CONFIG
    assert config.grants_for("cdb_latiss") == {"usdf": ("SELECT",), "oods": ("SELECT",)}
    assert config.grants_for("efd_latiss") == {"usdf": ("SELECT",), "oods": ("SELECT",)}
    assert config.grants_for("public") == {}
    assert [(view.name, view.table) for view in config.views] == [
        ("visit1", "exposure"),
        ("ccdvisit1", "ccdexposure"),
    ]
    assert config.views[1].shown("ccdexposure_id") == "ccdvisit_id"
    assert config.views[1].shown("exposure_id") == "visit_id"
    assert config.views[1].shown("detector") == "detector"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("DM-1", True),
        ("OSW-12345", True),
        ("DM-", False),
        ("dm-1", False),
        ("DM-1\n", False),
        ("DM-1; rm", False),
        ("XDM-1", False),
        ("DM-\u0661", False),
    ],
)
def test_s1_tickets_match_whole_and_in_ascii(text: str, is_one: bool) -> None:
    assert DEFAULT_CONFIG.is_ticket(text) is is_one


FULL = r"""
tickets: {patterns: ['CAM-\d+']}
views:
  visit2: {table: image, rename: {image_id: visit_id}}
  plain: {table: image}
grants:
  cdb_*: {reader: [SELECT]}
  cdb_x: {reader: [INSERT, SELECT], writer: [UPDATE]}
lint:
  severity: {unit-missing: off, name-not-snake-case: error}
approvals:
  distinct: true
"""


def test_a_full_file() -> None:
    config = parse_config(FULL.replace(": off", ": 'off'"), source="c.yaml")
    assert config.is_ticket("CAM-1")
    assert not config.is_ticket("DM-1")
    assert config.views == (
        ViewConfig("visit2", "image", (("image_id", "visit_id"),)),
        ViewConfig("plain", "image"),
    )
    assert config.grants_for("cdb_x") == {"reader": ("SELECT", "INSERT"), "writer": ("UPDATE",)}
    assert config.grants_for("cdb_y") == {"reader": ("SELECT",)}
    assert config.severities == {"unit-missing": "off", "name-not-snake-case": "error"}
    assert config.approvals == replace(DEFAULT_CONFIG.approvals, distinct=True)
    assert config.source == "c.yaml"


def test_off_needs_no_quotes() -> None:
    """YAML 1.1 reads a bare ``off`` as false; nobody should have to know that."""
    assert parse_config(FULL, source="c.yaml").severities["unit-missing"] == "off"


def test_a_section_that_is_given_replaces_the_default() -> None:
    config = parse_config("views: {}\n", source="c.yaml")
    assert config.views == ()
    assert config.grants == DEFAULT_CONFIG.grants
    grants = parse_config("grants: {a: {b: [SELECT]}}", source="c.yaml").grants
    assert grants == (GrantRule("a", "b", ("SELECT",)),)


@pytest.mark.parametrize(
    ("text", "line", "cause", "remedy"),
    [
        ("grant: {}", 1, "unknown key grant", 'Did you mean "grants"?'),
        ("x: 1", 1, "unknown key x", "Known here: tickets, views"),
        ("lint:\n  severities: {}", 2, "unknown key lint.severities", 'Did you mean "severity"?'),
        (
            "lint: {severity: {a: fatal}}",
            1,
            'lint.severity.a is "fatal"',
            "Write one of: error, warning, info, off.",
        ),
        ("views:\n  v:\n    tabel: x", 2, "views.v lacks table", "Add table:"),
        ("views:\n  v: {table: x, rename: {a: 1}}", 2, 'views.v.rename.a must be text, not "1"', ""),
        ("tickets: [a]", 1, "tickets must be a mapping, not a list", "How tickets are named."),
        ("tickets:", 1, "tickets must be a mapping, not empty", ""),
        ("tickets: {patterns: []}", 1, "tickets.patterns:", ""),
        ("grants: {cdb_*: {usdf: [SELCT]}}", 1, 'grants.cdb_*.usdf[0] is "SELCT"', 'Did you mean "SELECT"?'),
        ("deploy: {base: a b}", 1, 'deploy.base: "a b" is not written as', "The branch that is deployed."),
        ("sites: {databases: {A: {}}}", 1, 'sites.databases: "A" is not written as', "Lower-case letters"),
        ("deploy: {repository: lsst}", 1, 'deploy.repository: "lsst" is not', "as OWNER/NAME."),
        ("- a", 1, "the configuration must be a mapping, not a list", ""),
        ("a: 1\na: 2", 2, "is defined twice", ""),
        ("a: !!python/name:os.system x", 1, "is not allowed", ""),
    ],
)
def test_mistakes_are_named_by_path_and_line(text: str, line: int, cause: str, remedy: str) -> None:
    with pytest.raises(FileError) as caught:
        parse_config(text, source="c.yaml")
    problem = next(item for item in caught.value.problems if cause in item.cause)
    assert problem.line == line
    assert remedy in problem.remedy
    assert problem.remedy


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("approvals: {distinct: 1}", "approvals.distinct"),
        ("approvals: {distinct: 'true'}", "approvals.distinct"),
        ("deploy: {longest_waiver: true}", "deploy.longest_waiver"),
        ("deploy: {longest_waiver: 7.0}", "deploy.longest_waiver"),
        ("deploy: {longest_waiver: '7'}", "deploy.longest_waiver"),
        ("deploy: {longest_waiver: .nan}", "deploy.longest_waiver"),
        (f"deploy: {{longest_waiver: {'9' * 4000}}}", "deploy.longest_waiver"),
        (f"deploy: {{longest_waiver: 0x{'f' * 9000}}}", "deploy.longest_waiver"),
        ("deploy: {labels: [a, b, a]}", "deploy.labels[2]"),
        ("deploy: {base: 'main\n\n'}", "deploy.base"),
        ("deploy: {base: null}", "deploy.base"),
        ("process: {steps: {summit: {owner: null}}}", "process.steps.summit.owner"),
        ("process: {steps: {sumit: {}}}", "process.steps.sumit"),
        ("process: {environments: [mars]}", "process.environments[0]"),
        ("process: {roles: [{id: a}, {id: a}]}", "process.roles"),
        ("approvals: {roles: [{id: a, designates: [{login: b, until: }]}]}", "roles[0].designates[0].until"),
        ("approvals: {roles: [{id: a, title: ''}]}", "approvals.roles[0].title"),
        ("sites: {databases: {summit: true}}", "sites.databases.summit"),
        ("sites: {databases: {summit: {hots: x}}}", "sites.databases.summit.hots"),
        ("sites: {databases: {summit: {id: x}}}", "sites.databases.summit.id"),
        ('sites: {install: "a\\nb"}', "sites.install"),
        ('sites: {install: "\\ud800"}', ""),
        (f"sites: {'[' * 40}{']' * 40}", ""),
        (f"sites: {{install: {'x' * 301}}}", "sites.install"),
    ],
)
def test_f4_nothing_is_taken_for_what_it_is_not(text: str, path: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_config(text, source="c.yaml")
    assert caught.value.place.startswith("c.yaml:1:")
    assert path in caught.value.cause
    assert caught.value.remedy


def test_s2_a_file_full_of_mistakes_is_read_in_time() -> None:
    start = time.perf_counter()
    for labels in ([1] * 20_000, [*(f"x{number}" for number in range(20_000)), "x0"]):
        with pytest.raises(FileError) as caught:
            parse_config(json.dumps({"deploy": {"labels": labels}}), source="c.yaml")
        assert len(str(caught.value)) < 5_000
    assert time.perf_counter() - start < 30


def test_the_schema_for_editors_agrees() -> None:
    validator = Draft202012Validator(json_schema(ConfigFile))
    for text in (
        "deploy: {labels: [a, a]}",
        "sites: {databases: {A: {}}}",
        "x: 1",
        "deploy: {test_days: -1}",
    ):
        assert not validator.is_valid(yaml.safe_load(text))
    assert validator.is_valid(yaml.safe_load("sites: {databases: {tts: false, new: {}}}"))
    assert validator.is_valid({})


def test_a_ticket_pattern_must_be_one() -> None:
    with pytest.raises(InputError, match=r"tickets\.patterns\[1\]: .*not a regular expression"):
        parse_config("tickets: {patterns: [a, '(']}", source="c.yaml")


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\d+)+",
        r"(a|aa)+",
        r"([A-Z]+-?)*\d",
        r"(?:\d*)*",
        r"(a?){30}a",
        r"\d+\d+\d+x",
        r"\d{1,99}\d{1,99}\d{1,99}",
        r"(\w)\1+",
        r"(?=\d+)x",
        r"(?P<a>\d)+",
        r"(?>\d+)+",
        r"\d++",
        r"(\))+",
        r"([)])+",
    ],
)
def test_s2_a_ticket_pattern_always_comes_to_an_end(pattern: str) -> None:
    with pytest.raises(InputError, match="very long"):
        parse_config(json.dumps({"tickets": {"patterns": [pattern]}}), source="c.yaml")


@pytest.mark.parametrize(
    "pattern", ["", ".*", r"DM-\d+|", r"\Z", "a{99999999999}", "(?:" * 5000 + "a" + ")" * 5000]
)
def test_a_ticket_pattern_that_matches_nothing_or_cannot_be_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match=r"tickets\.patterns\[0\]"):
        parse_config(json.dumps({"tickets": {"patterns": [pattern]}}), source="c.yaml")


@pytest.mark.parametrize(
    "pattern", [r"DM-\d+", r"[A-Z]{2,9}-\d+", r"(DM|OSW)-\d+", r"(?:A|B)\d{3}", r"\w+-\w+"]
)
def test_s2_plain_ticket_patterns_are_taken_and_are_quick(pattern: str) -> None:
    config = parse_config(json.dumps({"tickets": {"patterns": [pattern]}}), source="c.yaml")
    start = time.perf_counter()
    for text in ("1" * 250, "A-" * 125, "DM-" + "1" * 240 + "!", "a" * 250):
        config.is_ticket(text)
        replace(DEFAULT_POLICY, ticket_patterns=config.ticket_patterns).ticket_in(text)
        tickets_in(text, config.ticket_patterns)
        with contextlib.suppress(InputError):
            name_migration(f"tickets/{text}", text, config.ticket_patterns)
    assert time.perf_counter() - start < 5


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config() is DEFAULT_CONFIG
    path = tmp_path / CONFIG_PATH
    path.parent.mkdir()
    path.write_text("views: {}", encoding="utf-8")
    assert load_config().views == ()
    assert load_config(directory=tmp_path / "elsewhere") is DEFAULT_CONFIG
    assert load_config(path).source == str(path)
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "none.yaml")
    path.write_text("# nothing set\n", encoding="utf-8")
    assert load_config() is DEFAULT_CONFIG


def test_the_json_schema_is_one_and_describes_itself() -> None:
    schema = json_schema(ConfigFile)
    Draft202012Validator.check_schema(schema)
    assert all("description" in part or "$ref" in part for part in schema["properties"].values())


def test_every_form_is_described_for_people() -> None:
    def forms(part: object) -> Iterator[Mapping[str, object]]:
        if isinstance(part, Mapping):
            if isinstance(part.get("pattern"), str):
                yield part
            for value in part.values():
                yield from forms(value)
        elif isinstance(part, list):
            for value in part:
                yield from forms(value)

    found = list(forms(json_schema(ConfigFile)))
    assert found
    assert [form for form in found if "description" not in form] == []


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (r"['DM-\d+', 'OSW-\d+']", "DM-123 or OSW-123"),
        (r"['SP-\d{1,5}']", "SP-123"),
        (r"['(A|B)-\d+']", "those of tickets.patterns in the configuration"),
    ],
)
def test_people_see_examples_of_tickets(patterns: str, words: str) -> None:
    assert parse_config(f"tickets: {{patterns: {patterns}}}", source="c.yaml").ticket_examples == words
