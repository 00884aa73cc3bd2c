"""Rule P4: the runbook, for each kind of migration; goldens of it were read by a person."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

from consdb_actions.adapters.typed_files import parse_config
from consdb_actions.cli import cli
from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.errors import InputError
from consdb_actions.lint.script import LintRelation, LintState
from consdb_actions.process.facts import branch_of
from consdb_actions.process.runbook import make_runbook
from consdb_actions.process.runbook_change import RunbookRevision, SectionChange, effects_of
from consdb_actions.process.runbook_steps import Runbook, read_runbook, unrestored_in
from consdb_actions.process.sites import DEFAULT_SITES
from consdb_actions.report.runbook import render_runbook_markdown, render_runbook_text
from consdb_actions.schema.model import Name
from tests.support.configuration import section
from tests.support.goldens import Golden
from tests.support.lint import make_script
from tests.support.reports import checked

EXPOSURE = (
    "CREATE TABLE {0}.exposure (exposure_id bigint NOT NULL, day_obs integer NOT NULL, seq_num integer NOT "
    "NULL, band varchar(32), note text, CONSTRAINT exposure_pkey PRIMARY KEY (exposure_id))"
)
SPARE = "CREATE TABLE {0}.exposure_flexdata (obs_id bigint PRIMARY KEY, value text)"
VIEW = "CREATE VIEW {0}.visit1 AS SELECT exposure_id AS visit_id, day_obs FROM {0}.exposure"
GRANT = "GRANT SELECT ON {0}.{1} TO usdf, oods"
WITH_VIEWS = (EXPOSURE, SPARE, VIEW, GRANT.replace("{1}", "visit1"))
WITHOUT = (EXPOSURE, SPARE)

AWAY = ("DROP TABLE {0}.visit1_quicklook",)
NEW_TABLE = (
    "CREATE TABLE {0}.visit1_quicklook (visit_id bigint PRIMARY KEY, seeing real)",
    GRANT.replace("{1}", "visit1_quicklook"),
)
ADD = (
    "DROP VIEW {0}.visit1",
    "ALTER TABLE {0}.exposure ADD airmass double precision",
    "CREATE VIEW {0}.visit1 AS SELECT exposure_id AS visit_id, day_obs, airmass FROM {0}.exposure",
    GRANT.replace("{1}", "visit1"),
)
DROP = "ALTER TABLE {0}.exposure DROP note"


def change(
    section: str, up: Sequence[str], down: Sequence[str] = (), history: Sequence[str] = WITH_VIEWS
) -> SectionChange:
    """One revision of a section."""
    schema = section if section.startswith("efd_") else f"cdb_{section}"

    def of(parts: Sequence[str]) -> tuple[str, ...]:
        return tuple(part.format(schema) for part in parts)

    script = make_script(of(up), of(down), history=of(history), schema=schema)

    def names(state: LintState, *, tables: bool = False) -> list[LintRelation]:
        found = (r for r in state.relations.values() if r.name.schema == schema)
        return sorted((r for r in found if r.is_table or not tables), key=lambda r: r.name)

    start, end = script.upgrade.start, script.upgrade.end
    return SectionChange(
        section,
        schema,
        f"{schema.partition('_')[0]}.{schema}_version",
        "aaaa11111111",
        "bbbb22222222",
        (RunbookRevision("bbbb22222222", "change", "b.py", of(up), of(down)),),
        effects_of([script.upgrade]),
        effects_of([script.downgrade]),
        tuple(r.name for r in names(start, tables=True)),
        tuple(r.name for r in names(end, tables=True)),
        tuple((r.name, r.names) for r in names(start)),
        tuple((r.name, r.names) for r in names(end)),
    )


def runbook(*changes: SectionChange, **values: Any) -> Runbook:
    return make_runbook(changes, DEFAULT_SITES, ticket="DM-12345", **values)


def steps(made: Runbook, part: str) -> list[str]:
    found = made.part(part)
    return [step.id for step in found.steps] if found else []


def sql(made: Runbook, step: str) -> str:
    return "\n".join(block.text for _, s in made.steps() if s.id == step for block in s.blocks)


PAUSED = [
    "look",
    "preflight",
    "subscription-off",
    "summit-upgrade",
    "usdf-upgrade",
    "subscription-on",
    "caught-up",
    "deploy-summit",
]
QUIET = [
    "look",
    "preflight",
    "writers-off",
    "drain",
    "subscription-off",
    "nothing-waits",
    "summit-upgrade",
    "usdf-upgrade",
    "subscription-on",
    "caught-up",
    "deploy-summit",
    "writers-on",
]
SIMPLE = ["look", "preflight", "summit-upgrade", "usdf-upgrade", "deploy-summit"]
KINDS: dict[str, tuple[Callable[[], SectionChange], list[str]]] = {
    "a column": (partial(change, "latiss", ADD), PAUSED),
    "a table": (partial(change, "latiss", NEW_TABLE, AWAY), [*PAUSED[:4], "publication", *PAUSED[4:]]),
    "a rename": (partial(change, "latiss", ["ALTER TABLE {0}.exposure RENAME note TO remark"]), QUIET),
    "a drop": (partial(change, "latiss", [DROP]), QUIET),
    "a view alone": (partial(change, "latiss", [ADD[0], VIEW]), SIMPLE),
    "a comment": (
        partial(change, "latiss", ["COMMENT ON TABLE {0}.exposure IS 'x'"]),
        SIMPLE,
    ),
    "star trackers": (
        partial(change, "startrackerwide", ["ALTER TABLE {0}.exposure ADD a int"], history=WITHOUT),
        PAUSED,
    ),
    "EFD": (
        partial(change, "efd_latiss", ["ALTER TABLE {0}.exposure ADD a int"], history=WITHOUT),
        ["look", "preflight", "usdf-upgrade"],
    ),
    "EFD, a rename": (
        partial(
            change,
            "efd_latiss",
            ["ALTER TABLE {0}.exposure RENAME note TO remark"],
            ["ALTER TABLE {0}.exposure RENAME remark TO note"],
            history=WITHOUT,
        ),
        ["look", "preflight", "writers-off", "usdf-upgrade", "writers-on"],
    ),
    "a key": (
        partial(
            change,
            "latiss",
            [
                "ALTER TABLE {0}.exposure DROP CONSTRAINT exposure_pkey",
                "UPDATE {0}.exposure SET note = ''",
                "ALTER TABLE {0}.exposure ADD PRIMARY KEY (day_obs, seq_num)",
            ],
            [
                "ALTER TABLE {0}.exposure DROP CONSTRAINT exposure_pkey",
                "ALTER TABLE {0}.exposure ADD PRIMARY KEY (exposure_id)",
            ],
        ),
        [*QUIET[:6], "identity-full", "summit-upgrade", "identity-default", *QUIET[7:]],
    ),
    "rows that are added": (
        partial(change, "latiss", ["INSERT INTO {0}.exposure_flexdata VALUES (1, 'x')"]),
        [*QUIET[:6], "unpublish", "summit-upgrade", "republish", *QUIET[7:]],
    ),
    "a table that is filled": (
        partial(
            change,
            "latiss",
            [*NEW_TABLE, "INSERT INTO {0}.visit1_quicklook SELECT exposure_id FROM {0}.exposure"],
        ),
        [*PAUSED[:4], "publication", "usdf-upgrade", "empty", *PAUSED[5:]],
    ),
}


def kind_of(name: str) -> SectionChange:
    """Return the change of a kind."""
    return KINDS[name][0]()


@pytest.mark.parametrize("kind", KINDS)
def test_p4_the_order_of_each_kind(kind: str) -> None:
    made, wanted = kind_of(kind), KINDS[kind][1]
    found = runbook(made)
    assert steps(found, "migrate") == wanted
    # What is written can be read back, block by block: a rehearsal carries out what people read.
    blocks = [block for _, step in found.steps() for block in step.blocks]
    assert [placed.block for placed in read_runbook(render_runbook_markdown(found))] == blocks
    assert len({step.id for _, step in found.steps()}) == len(list(found.steps()))
    checked(found)
    assert all(step.id.partition("-")[0] for _, step in found.steps())


def lines_of(*changes: SectionChange) -> int:
    return render_runbook_markdown(runbook(*changes, release="26.6.2")).count("\n")


def test_p4_a_runbook_is_read_at_night() -> None:
    """One page of overview, short steps, and nothing twice."""
    down = ["DROP VIEW {0}.visit1", "ALTER TABLE {0}.exposure DROP airmass", VIEW]
    assert lines_of(change("latiss", ADD, down)) <= 560
    assert lines_of(kind_of("a column")) <= 500
    assert lines_of(kind_of("EFD")) <= 350
    for kind in KINDS:
        assert lines_of(kind_of(kind)) <= 620, kind
    made = runbook(kind_of("a column"))
    assert render_runbook_markdown(made).index("## 1. ") < 6_000
    # A second section adds its commands and checks, and no steps.
    assert len(list(runbook(kind_of("a column"), kind_of("star trackers")).steps())) <= len(
        list(made.steps())
    )


def test_p4_exact_commands_of_a_new_table() -> None:
    made = runbook(kind_of("a table"), release="26.6.2")
    assert sql(made, "publication").startswith(
        "GRANT SELECT ON cdb_latiss.visit1_quicklook TO replicauser;\n"
        "ALTER PUBLICATION usdfpub ADD TABLE cdb_latiss.visit1_quicklook;\n"
    )
    assert "--section latiss:aaaa11111111..bbbb22222222" in sql(made, "summit-upgrade")
    assert "alembic -n latiss upgrade bbbb22222222" in sql(made, "usdf-upgrade")
    assert "CONSDB_URL=postgresql://oods@postgresdb01.cp.lsst.org/exposurelog" in render_runbook_markdown(
        made
    )
    assert "lock_timeout=500ms -c statement_timeout=15min" in sql(made, "usdf-upgrade")
    assert "REFRESH PUBLICATION" in sql(made, "subscription-on")
    bodies = {text.title: text.body for text in made.texts}
    assert "ALTER PUBLICATION usdfpub ADD TABLE cdb_latiss.visit1_quicklook;" in bodies["IT ticket"]
    tables = "cdb_latiss.exposure, cdb_latiss.exposure_flexdata, cdb_latiss.visit1_quicklook"
    assert f"TRUNCATE TABLE {tables};" in bodies.values()
    migrate = made.part("migrate")
    assert migrate is not None
    assert migrate.attested == ("summit", "publication", "usdf")


def test_p4_nothing_that_is_not_touched() -> None:
    markdown = render_runbook_markdown(runbook(kind_of("a column")))
    assert "PUBLICATION" not in markdown
    assert "IT ticket" not in markdown
    assert "truncate" not in markdown.lower()
    assert "exposure_flexdata" not in markdown
    for other in ("lsstcam", "startracker", "efd_"):
        assert other not in markdown
    efd = render_runbook_markdown(runbook(kind_of("EFD")))
    for absent in (
        "SUBSCRIPTION",
        "replicauser",
        "postgresdb01.cp",
        "/consdb done summit",
        "Base Test Stand",
    ):
        assert absent not in efd


def test_p4_the_new_schema_itself_is_opened_to_the_replica() -> None:
    first = replace(kind_of("a table"), start="base")
    assert sql(runbook(first), "publication").startswith("GRANT USAGE ON SCHEMA cdb_latiss TO replicauser;")
    assert "aaaa11111111" not in sql(runbook(first), "look")


def our_commands(text: str) -> list[list[str]]:
    """Return the command lines of this program in a text, as a shell splits them."""
    lines = text.replace("\\\n", " ").split("\n")
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("consdb-actions ")]


def parsed(args: list[str]) -> tuple[str, dict[str, Any]]:
    """Let the real command line parse a command; what it does not know is an error."""
    rest = list(args)
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest.pop(0))
        assert found is not None, args
        command = found
    return str(command.name), command.make_context(command.name, rest).params


@pytest.mark.parametrize("release", ["", "26.6.2"])
@pytest.mark.parametrize("kind", KINDS)
def test_p4_every_command_is_one_that_is_accepted(kind: str, release: str) -> None:
    made = runbook(kind_of(kind), release=release, waive_until="2026-12-30")
    blocks = [block for _, step in made.steps() for block in step.blocks if block.language == "sh"]
    commands = [args for block in blocks for args in our_commands(block.text)]
    assert len(commands) >= 8
    policy = DeployPolicy()
    for args in commands:
        name, given = parsed(args)
        if name != "open" or given["repin"]:
            continue
        named = given["environments"] or policy.stage(given["stage"]).environments
        # One stage at a time, and no image of a ticket where only releases run, without a waiver.
        assert len({policy.stage_of(environment).name for environment in named}) == 1, args
        assert given["ticket"] == "DM-12345"
        if set(named) & set(policy.strict) and given["tag"].startswith("tickets"):
            assert given["waive_until"], args
    # Nothing else is named that this program does not have.
    text = "\n".join(block.text for block in blocks)
    known = r"(consdb-actions|kubectl|git|pip|psql|alembic|export|:) "
    for line in text.replace("\\\n", " ").split("\n"):
        assert re.match(known, line.strip() + " "), line


def test_p4_the_way_back_has_an_order_of_its_own() -> None:
    down = ["DROP VIEW {0}.visit1", "ALTER TABLE {0}.exposure DROP airmass", VIEW]
    made = runbook(change("latiss", ADD, down))
    back = steps(made, "back")
    assert back == [
        "back-look",
        "back-preflight",
        "back-writers-off",
        "back-drain",
        "back-subscription-off",
        "back-nothing-waits",
        "summit-downgrade",
        "usdf-downgrade",
        "back-subscription-on",
        "back-caught-up",
        "back-writers-on",
    ]
    assert "alembic -n latiss downgrade aaaa11111111" in sql(made, "usdf-downgrade")
    part = made.part("back")
    assert part is not None
    assert any("column cdb_latiss.exposure.airmass" in words for words in part.intro)


def test_p4_several_sections_go_back_in_the_opposite_order() -> None:
    made = runbook(kind_of("a column"), kind_of("star trackers"), kind_of("EFD, a rename"))
    up, down = sql(made, "usdf-upgrade"), sql(made, "usdf-downgrade")
    assert up.index("latiss:") < up.index("startrackerwide:") < up.index("efd_latiss:")
    assert down.index("startrackerwide:") < down.index("section latiss:")
    assert "efd_latiss" not in sql(made, "summit-upgrade")
    assert steps(made, "test") == [
        "bts-announce",
        "bts-upgrade",
        "bts-deploy-base",
        "bts-restart",
        *(f"bts-latiss-{step}" for step in ("queue", "scripts", "rows", "standby")),
        "tts-same",
        "usdf-dev-upgrade",
        "usdf-dev-try",
    ]


def test_p4_what_speaks_against_a_migration_is_said_first() -> None:
    other = runbook(change("latiss", ["ALTER TABLE {0}.exposure ADD at timestamp DEFAULT clock_timestamp()"]))
    assert "cdb_latiss.exposure.at (clock_timestamp)" in other.warnings[0]
    assert render_runbook_markdown(other).index("⚠️") < render_runbook_markdown(other).index("## What changes")
    assert "Warning: " in render_runbook_text(other)
    unknown = runbook(change("latiss", ["DO $$ BEGIN END $$"]))
    assert "may lack a step" in unknown.warnings[0]


def test_p4_a_downgrade_that_does_not_work_is_said_first() -> None:
    stuck = replace(kind_of("a column"), stuck="relation is missing", unrestored=("a_b.columns.c.default",))
    made = runbook(stuck)
    assert any("relation is missing" in words for words in made.warnings)
    assert unrestored_in(render_runbook_markdown(made)) == {"a_b.columns.c.default"}
    assert unrestored_in(render_runbook_markdown(runbook(kind_of("a drop")))) == set()


def test_p4_the_configuration_is_used() -> None:
    sites = section(
        "sites",
        {
            "databases": {
                "bts": False,
                "summit": {"host": "db.example.org", "database": "consdb", "user": "owner"},
            },
            "replication": {"publication": "pub", "subscription": "sub", "role": "reader"},
            "writers": [{"tables": "cdb_*.*", "name": "everything", "stop": "systemctl stop everything"}],
            "lock_timeout": "2s",
        },
    )
    made = make_runbook([kind_of("a table"), kind_of("a drop")][:1], sites, ticket="DM-1")
    markdown = render_runbook_markdown(made)
    assert "postgresql://owner@db.example.org/consdb" in markdown
    assert "ALTER PUBLICATION pub ADD TABLE" in markdown
    assert "ALTER SUBSCRIPTION sub DISABLE;" in markdown
    assert "lock_timeout=2s" in markdown
    assert "bts" not in markdown
    assert "usdfpub" not in markdown
    quiet = make_runbook([kind_of("a drop")], sites, ticket="DM-1")
    assert "systemctl stop everything" in sql(quiet, "writers-off")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"databases": {"summit": False}}, "one database must be the publisher"),
        ({"databases": {"other": {"part": "replica"}}}, "usdf, other"),
        ({"lock_timeout": "soon"}, "A time as Postgres writes it"),
        ({"replication": {"publication": "a; DROP"}}, "A plain name in Postgres"),
    ],
)
def test_a_configuration_that_cannot_be(given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        section("sites", given)


def test_the_configuration_of_the_page_for_operators_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    sites = parse_config(example, source="operate.md").sites
    assert [site.id for site in sites.databases] == ["bts", "tts", "usdf-dev", "summit", "usdf"]
    assert sites.site("dev").url == "postgresql://oods@dev.example.org/exposurelog"
    assert [site.id for site in sites.of("test")] == ["bts", "tts"]


def test_nothing_to_apply_or_nowhere() -> None:
    with pytest.raises(InputError, match="nothing to apply"):
        runbook(replace(kind_of("a drop"), revisions=()))
    with pytest.raises(InputError, match="no database holds the schema"):
        runbook(replace(kind_of("EFD"), schema="other_schema"))


def test_s4_s5_nothing_secret_and_nothing_alive() -> None:
    nasty = "a`b|c @everyone <!-- x -->\n```"
    made = change("latiss", ['ALTER TABLE {0}.exposure ADD "@all`` --><b>" int'])
    markdown = render_runbook_markdown(runbook(made))
    shown = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    shown = re.sub(r"<!-- (sql|sh|text) part=[\w =./-]+ -->", "", shown)
    assert "-->" not in shown
    assert "<b>" not in shown
    assert "@all" not in re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", shown)
    assert "password" not in markdown.replace("Passwords come", "").replace("PGPASSWORD", "").lower()
    named = replace(made, forward=replace(made.forward, new_views=(Name("cdb_latiss", nasty),)))
    read_runbook(render_runbook_markdown(runbook(named)))


@pytest.mark.parametrize("kind", ["a table", "a key", "EFD, a rename"])
def test_p4_goldens(kind: str, golden: Golden) -> None:
    made = runbook(kind_of(kind), release="26.6.2", when="on 2026-12-01 at 16:00 UTC")
    golden(f"runbook/{kind.replace(', ', '-').replace(' ', '-').lower()}.md", render_runbook_markdown(made))


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("# nothing", "no step"),
        ("```sql part=migrate step=a do=dance at=summit as=owner\nSELECT 1\n```", "line 1: do=dance"),
        ("```sql part=migrate step=a do=sql at=summit as=king\nSELECT 1\n```", "as=king"),
        ("```sql part=migrate step='a do=sql\nSELECT 1\n```", "line 1: .*attributes"),
        ("```sql part=migrate do=wait within=soon\nSELECT 1\n```", "line 1: .*attributes"),
        ("```sql part=migrate step=a do=sql same=b/0\n-- the same\n```", "line 1: same=b/0"),
    ],
)
def test_an_edited_runbook_that_cannot_be_read(markdown: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_runbook(markdown)


def test_p4_renamed_tables_have_their_names_of_the_moment() -> None:
    sqls = [
        "UPDATE {0}.exposure_flexdata SET value = ''",
        "ALTER TABLE {0}.exposure_flexdata RENAME TO notes",
    ]
    made = runbook(change("latiss", sqls))
    assert "DROP TABLE cdb_latiss.exposure_flexdata;" in sql(made, "unpublish")
    assert "ADD TABLE cdb_latiss.notes;" in sql(made, "republish")
    assert "ADD TABLE cdb_latiss.exposure_flexdata;" in sql(made, "cancel-republish")
    ticket = next(text.body for text in made.texts if text.title == "IT ticket")
    assert ticket.index("DROP TABLE cdb_latiss.exposure_flexdata;") < ticket.index(
        "ADD TABLE cdb_latiss.notes;"
    )


def test_p4_nobody_writes_who_is_not_known() -> None:
    made = runbook(change("startrackerwide", [DROP], history=WITHOUT))
    assert sql(made, "writers-off") == (
        "Ask for everything that writes to cdb_startrackerwide.exposure to be stopped."
    )


def test_p4_a_new_schema_is_made_first() -> None:
    first = replace(kind_of("a table"), start="base")
    made = runbook(first)
    for site in ("bts", "summit", "usdf"):
        text = sql(made, f"{site}-schema")
        assert "CREATE SCHEMA IF NOT EXISTS cdb_latiss AUTHORIZATION oods;" in text
        assert "GRANT USAGE ON SCHEMA cdb_latiss TO usdf, oods;" in text
    found = steps(made, "migrate")
    assert found.index("summit-schema") < found.index("preflight") < found.index("subscription-off")


def test_o5_all_checks_run_before_anything_is_switched_off() -> None:
    for kind in KINDS:
        made = kind_of(kind)
        found = steps(runbook(made), "migrate")
        first = min(found.index(s) for s in found if s.endswith(("-off", "-upgrade")))
        assert found.index("preflight") < first, kind
        assert "--ahead" in sql(runbook(made), "preflight")


def test_o1_after_a_committed_change_nobody_turns_the_subscription_on() -> None:
    made = runbook(kind_of("a table"))
    upgrade = next(step for _, step in made.steps() if step.id == "summit-upgrade")
    assert "code 5" in upgrade.failure
    assert "half way" in upgrade.failure
    halfway = made.part("halfway")
    assert halfway is not None
    assert "ENABLE" not in "".join(b.text for step in halfway.steps for b in step.blocks)


def test_the_branch_of_a_copied_schema_is_the_one_that_efd_sync_makes() -> None:
    made = runbook(kind_of("EFD"))
    assert f"checkout {branch_of('DM-12345')}" in sql(made, "install")
    assert "--tag tickets-DM-12345-efd" in sql(made, "tap")


def test_the_configuration_fills_sessions_sources_and_checklists() -> None:
    sites = section(
        "sites",
        {
            "install": "uv tool install consdb-actions",
            "hosts": {"base": "base.example.org"},
            "sources": [{"tables": "cdb_*.*", "name": "a robot", "contact": "its team"}],
            "sessions": [
                {
                    "section": "latiss",
                    "camera": "Eye",
                    "scripts": [{"name": "open.py", "configuration": "eye: 1"}],
                    "standby": {"name": "close.py"},
                }
            ],
            "checklists": {"consdb": ["It is sound."]},
            "announce": ["everybody"],
        },
    )
    made = make_runbook([kind_of("a column")], sites, ticket="DM-1")
    markdown = render_runbook_markdown(made)
    for words in (
        "uv tool install",
        "https://base.example.org/love",
        "open.py",
        "eye: 1",
        "a robot",
        "its team",
    ):
        assert words in markdown.replace("\\", ""), words
    assert "- It is sound." in sql(made, "checklists")
    assert "everybody" in made.texts[0].to
