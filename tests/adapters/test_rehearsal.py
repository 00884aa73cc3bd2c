"""Rule P4: the runbook works, its way back works, and other orders do not; on two real servers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rehearsal import _stopping_checks, rehearse
from consdb_actions.adapters.revision_path import read_change, resolve
from consdb_actions.cli import main
from consdb_actions.commands.runbook import chosen_changes
from consdb_actions.errors import InputError
from consdb_actions.forms import as_json
from consdb_actions.process.apply_facts import ApplyCheck
from consdb_actions.process.runbook import make_runbook
from consdb_actions.process.runbook_steps import (
    PlacedBlock,
    Rehearsal,
    ranges_of,
    read_runbook,
    unrestored_in,
)
from consdb_actions.process.sites import DEFAULT_SITES
from consdb_actions.report.runbook import (
    render_rehearsal_markdown,
    render_rehearsal_text,
    render_runbook_markdown,
)
from tests.support.reports import checked
from tests.support.trees import BEFORE, SiteTree

VIEW = (
    "CREATE VIEW cdb_latiss.visit1 AS SELECT exposure_id AS visit_id, day_obs, seq_num, band{} "
    "FROM cdb_latiss.exposure"
)
GRANT = "GRANT SELECT ON cdb_latiss.visit1 TO usdf, oods"
MORE = (
    f"""DROP VIEW cdb_latiss.visit1; ALTER TABLE cdb_latiss.exposure ADD airmass double precision;
    {VIEW.format(", airmass")}; {GRANT};
    CREATE TABLE cdb_latiss.quicklook (
        visit_id bigint PRIMARY KEY REFERENCES cdb_latiss.exposure (exposure_id), seeing real);
    CREATE TABLE cdb_latiss.moved (obs_id bigint PRIMARY KEY, remark text);
    INSERT INTO cdb_latiss.moved SELECT exposure_id, note FROM cdb_latiss.exposure;
    GRANT SELECT ON cdb_latiss.quicklook, cdb_latiss.moved TO usdf, oods""",
    f"""DROP TABLE cdb_latiss.moved; DROP TABLE cdb_latiss.quicklook; DROP VIEW cdb_latiss.visit1;
    ALTER TABLE cdb_latiss.exposure DROP airmass; {VIEW.format("")}; {GRANT}""",
)
"""Nothing has to stand still: a column, a view, a table, and one that the migration fills."""
OTHER = (
    """ALTER TABLE cdb_latiss.exposure RENAME note TO remark; ALTER TABLE cdb_latiss.exposure DROP air_temp;
    ALTER TABLE cdb_latiss.exposure_flexdata DROP CONSTRAINT fk_flexdata;
    ALTER TABLE cdb_latiss.exposure_flexdata DROP CONSTRAINT exposure_flexdata_pkey;
    ALTER TABLE cdb_latiss.exposure_flexdata ADD day_obs integer;
    UPDATE cdb_latiss.exposure_flexdata AS child SET day_obs = parent.day_obs
        FROM cdb_latiss.exposure AS parent WHERE parent.exposure_id = child.obs_id;
    ALTER TABLE cdb_latiss.exposure_flexdata ALTER day_obs SET NOT NULL;
    ALTER TABLE cdb_latiss.exposure_flexdata ADD CONSTRAINT exposure_flexdata_pkey
        PRIMARY KEY (day_obs, obs_id, key);
    ALTER TABLE cdb_latiss.exposure_flexdata ADD CONSTRAINT fk_flexdata
        FOREIGN KEY (obs_id) REFERENCES cdb_latiss.exposure (exposure_id)""",
    """ALTER TABLE cdb_latiss.exposure_flexdata DROP CONSTRAINT exposure_flexdata_pkey;
    ALTER TABLE cdb_latiss.exposure_flexdata DROP day_obs;
    ALTER TABLE cdb_latiss.exposure_flexdata ADD CONSTRAINT exposure_flexdata_pkey PRIMARY KEY (obs_id, key);
    ALTER TABLE cdb_latiss.exposure ADD air_temp double precision;
    ALTER TABLE cdb_latiss.exposure RENAME remark TO note""",
)
"""What writes must stand still: a rename, a drop, and a key whose rows are changed while there is none."""
DROPPED = """ALTER TABLE cdb_latiss.exposure_flexdata DROP CONSTRAINT exposure_flexdata_pkey;"""
TIGHT = "ALTER TABLE cdb_latiss.exposure_flexdata ALTER day_obs SET NOT NULL;"
UNDER_THE_OLD = (OTHER[0].replace(DROPPED, "").replace(TIGHT, f"{DROPPED} {TIGHT}"), OTHER[1])
"""The same, but the rows are changed under the old key."""
PASSING = (
    """UPDATE cdb_latiss.exposure SET band = left(upper(note), 32); ALTER TABLE cdb_latiss.exposure DROP note;
    INSERT INTO cdb_latiss.exposure_flexdata SELECT exposure_id, 'made', 'here' FROM cdb_latiss.exposure""",
    """DELETE FROM cdb_latiss.exposure_flexdata WHERE key = 'made';
    ALTER TABLE cdb_latiss.exposure ADD note text""",
)
"""Rows are written with a column that goes, and added: nothing of that may be sent."""


def blocks_of(made: SiteTree, server: ScratchServer) -> tuple[PlacedBlock, ...]:
    """Make the runbook of the tree's last revision, and read it back."""
    tree = made.tree()
    with tree.importable():
        section = tree.section("latiss")
        change = read_change(tree, section, BEFORE, resolve(section, "head"), server)
    return read_runbook(render_runbook_markdown(make_runbook([change], DEFAULT_SITES, ticket="DM-1")))


def without(placed: Sequence[PlacedBlock], *steps: str) -> list[PlacedBlock]:
    """Leave steps out."""
    assert set(steps) <= {one.step for one in placed}
    return [one for one in placed if one.step not in steps]


def sooner(placed: Sequence[PlacedBlock], step: str, before: str) -> list[PlacedBlock]:
    """Do a step before another."""
    moved = [one for one in placed if one.step == step]
    rest = [one for one in placed if one.step != step]
    place = next(number for number, one in enumerate(rest) if one.step == before)
    return [*rest[:place], *moved, *rest[place:]]


def why_not(rehearsal: Rehearsal) -> list[str]:
    """Return what speaks against it."""
    out = []
    for act in rehearsal.acts:
        out += [f"{b.placed.step}: {b.text}" for b in act.blocks if b.state == "failed"]
        out += [f"{f.text}: {f.details}" for f in act.findings if not f.holds]
        out += list(act.errors)
    return out


def test_p4_a_runbook_is_carried_out(server: ScratchServer, tmp_path: Path) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("more", *MORE)
    result = rehearse(made.tree(), DEFAULT_SITES, blocks_of(made, server), acts=("migrate",), by_hand=True)
    assert result.passed, why_not(result)
    assert result.written["cdb_latiss.quicklook"] > 0
    assert result.written["cdb_latiss.exposure"] > result.written["cdb_latiss.quicklook"]
    assert any("all" in f.text and "rows in 4 tables" in f.text for f in result.acts[0].findings)
    checked(result)
    assert "The runbook works." in render_rehearsal_text(result)
    assert render_rehearsal_markdown(result).startswith("### Rehearsal: ✅ The runbook works")


@pytest.mark.slow
@pytest.mark.parametrize("replica", ["auto", "embedded"])
@pytest.mark.parametrize("what", [MORE, OTHER, PASSING], ids=["more", "other", "passing"])
def test_p4_every_act_and_the_way_back(
    server: ScratchServer, tmp_path: Path, what: tuple[str, str], replica: str
) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("change", *what)
    placed = blocks_of(made, server)
    result = rehearse(made.tree(), DEFAULT_SITES, placed, by_hand=True, replica=replica)  # type: ignore[arg-type]
    assert result.passed, why_not(result)
    assert [act.id for act in result.acts] == ["cancel", "migrate", "back"]


LEAVES_A_COMMENT = (
    "ALTER TABLE cdb_latiss.exposure ADD a int; COMMENT ON COLUMN cdb_latiss.exposure.note IS 'new'",
    "ALTER TABLE cdb_latiss.exposure DROP a",
)


@pytest.mark.slow
@pytest.mark.parametrize("warned", [True, False])
def test_p4_what_a_downgrade_does_not_restore_is_a_warning_if_the_runbook_has_it(
    tmp_path: Path, warned: bool
) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("change", *LEAVES_A_COMMENT)
    tree = made.tree()
    (change,), _ = chosen_changes(tree, DEFAULT_SITES, [f"latiss:{BEFORE}..head"], (), None)
    assert change.unrestored == ("exposure.columns.note.comment",)
    markdown = render_runbook_markdown(make_runbook([change], DEFAULT_SITES, ticket="DM-1"))
    assert unrestored_in(markdown) == set(change.unrestored)
    known = unrestored_in(markdown) if warned else ()
    acts = ("migrate", "back")
    result = rehearse(tree, DEFAULT_SITES, read_runbook(markdown), acts=acts, by_hand=True, unrestored=known)
    assert result.passed == warned
    (finding,) = [f for f in result.acts[-1].findings if "note.comment" in str(f.details)]
    assert (finding.holds, finding.warning) == (warned, warned)
    assert ("⚠️" in render_rehearsal_markdown(result)) == warned


@pytest.mark.slow
def test_p4_the_command_with_our_own_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("change", *OTHER)
    where = ["--consdb", str(made.root)]
    file = tmp_path / "runbook.md"
    way = f"latiss:{BEFORE}..head"
    args = ["process", "runbook", *where, "--ticket", "DM-1", "--section", way, "--output", str(file)]
    assert main(args) == 0
    report = tmp_path / "report.json"
    code = main(["process", "rehearse", *where, "--runbook", str(file), "--report", str(report)])
    printed = capsys.readouterr()
    assert code == 0, printed.out
    assert json.loads(report.read_text())["passed"]
    assert "postgresql://" not in printed.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["consdb", "report.json", "runbook.md"]
    assert not list(made.root.rglob("*.json"))


Edit = Callable[[Sequence[PlacedBlock]], Sequence[PlacedBlock]]
WRONG: dict[str, tuple[tuple[str, str], Edit, str]] = {
    # What is done otherwise: with which migration, how, and what comes of it.
    "the subscription stays on": (
        MORE,
        lambda p: without(p, "subscription-off"),
        "missing replicated column",
    ),
    "new tables are published while the replica lacks them, and takes rows": (
        MORE,
        lambda p: without(sooner(p, "subscription-on", "usdf-upgrade"), "subscription-off"),
        "does not exist",
    ),
    "tables that the migration fills are not emptied": (
        MORE,
        lambda p: without(p, "empty"),
        "duplicate key",
    ),
    "the refresh comes before the publication": (
        MORE,
        lambda p: sooner(without(p, "caught-up"), "subscription-on", "publication"),
        # What is seen first depends on whether a row came in between.
        "rows are only at the publisher|missing replicated column",
    ),
    "writers go on": (
        OTHER,
        lambda p: without(p, "writers-off", "drain", "nothing-waits"),
        # Which of them comes first depends on the row that is written.
        "missing replicated column|did not send replica identity column",
    ),
    "what the upgrade writes is sent as well": (
        PASSING,
        lambda p: without(p, "unpublish", "republish"),
        "missing replicated column",
    ),
    "rows are changed without a key or a replica identity": (
        OTHER,
        lambda p: without(p, "identity-full"),
        "does not have a replica identity",
    ),
    "rows are changed under the old key, and the replica has the new one": (
        UNDER_THE_OLD,
        lambda p: without(p, "identity-full"),
        "did not send replica identity column",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", WRONG)
def test_p4_another_order_fails(server: ScratchServer, tmp_path: Path, what: str) -> None:
    change, edit, words = WRONG[what]
    made = SiteTree(tmp_path / "consdb")
    made.add("change", *change)
    placed = edit(blocks_of(made, server))
    result = rehearse(made.tree(), DEFAULT_SITES, placed, acts=("migrate",), by_hand=True, patience=12)
    assert not result.passed
    assert any(re.search(words, reason) for reason in why_not(result)), why_not(result)
    assert "❌" in render_rehearsal_markdown(result)


def test_a_runbook_that_upgrades_nothing() -> None:
    with pytest.raises(InputError, match="contains no upgrade"):
        ranges_of([])


def test_what_the_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = SiteTree(tmp_path / "consdb")
    args = ["process", "rehearse", "--consdb", str(made.root)]
    assert main([*args, "--runbook", str(tmp_path / "none.md")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main([*args, "--runbook", str(tmp_path / "none.md"), "--since", "main"]) == 2
    assert "the runbook names the revisions to apply" in capsys.readouterr().err
    assert main(args) == 2
    assert "the new revisions are unknown" in capsys.readouterr().err


def test_p4_a_row_that_was_refused_fails_a_rehearsal() -> None:
    made = Rehearsal(("latiss:a..b",), ("one", "two"), (), {"t": 9}, {"deadlock detected": 1}, 1.0, 0.4)
    assert not made.passed
    assert "1 lost" in render_rehearsal_text(made)
    assert "1 lost; longest wait of a writer 0.4 seconds" in render_rehearsal_markdown(made)


def test_a_refused_check_is_the_reason_why_a_rehearsal_stops() -> None:
    check = ApplyCheck("version", "refused", "the database is at another revision", details=("found: abc",))
    passed = replace(check, state="ok", text="fine")
    report = {
        "checks": [as_json(passed)],
        "sections": [
            {"verification": [as_json(check), as_json(replace(check, accepted=True, text="ignored"))]}
        ],
        "problem": "",
    }
    assert _stopping_checks(report) == "the database is at another revision\nfound: abc"
