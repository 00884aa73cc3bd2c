"""The replay of ConsDB's releases, on made-up tags."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.replay.releases import Made, main, replay
from tests.support.releases import ReleaseScene


def made(name: str, moment: str, *, annotated: bool = True) -> Made:
    return Made(name, annotated, datetime.fromisoformat(moment + "T12:00:00+00:00"))


def test_r1_each_tag_is_judged_by_those_before_it() -> None:
    tags = [
        made("3.0.0", "2024-06-25"),
        made("24.10.1", "2024-10-07"),
        made("24.10.2", "2024-10-18"),
        made("25.5.1", "2025-04-30", annotated=False),
        made("25.5.2", "2025-05-14", annotated=False),
        made("25.7.1", "2025-08-01", annotated=False),
        made("25.9.1", "2025-08-02"),
        made("25.9.3", "2025-09-02"),
    ]
    cases = [(case.made.name, case.said, case.verdict) for case in replay(tags)]
    assert cases == [
        ("24.10.2", "24.10.2", "same"),
        ("25.5.1", "25.4.1", "no date"),
        ("25.5.2", "25.5.2", "same"),
        ("25.7.1", "25.8.1", "other"),
        ("25.9.1", "25.8.1", "other"),
        ("25.9.3", "25.9.2", "unknown"),
    ]


def test_r1_the_replay_reads_a_clone(scene: ReleaseScene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.tag("26.6.2", scene.head)
    assert main(["--consdb", str(scene.repo.store.path)]) == 0
    out = capsys.readouterr().out
    assert "26.6.1   annotated   2026-05-28" in out
    assert "2 releases after 24.10.1, 0 of them lightweight tags: 0 as it would have been said" in out
