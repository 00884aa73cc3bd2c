"""Work in several processes: order, failures, signals."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consdb_actions.adapters.pool import meanwhile, processors, run_in_pool
from consdb_actions.errors import ExternalError, InputError
from tests.support.waiting import until

Tell = Callable[..., None]


def ignore(*_words: object) -> None:
    """Tell nobody."""


def children() -> set[str]:
    """Return the process ids of this process's children."""
    return {
        pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    }


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_have_the_order_of_the_items(jobs: int, tmp_path: Path) -> None:
    def work(item: int, _tell: Tell) -> tuple[int, int]:
        (tmp_path / str(os.getpid())).touch()
        while len(list(tmp_path.iterdir())) < jobs:  # so many at a time, or this never ends
            time.sleep(0.01)
        time.sleep(0.02 * (5 - item))  # later ones tend to end first
        return item * item, os.getpid()

    results = run_in_pool(work, range(5), jobs, ignore)
    assert [square for square, _ in results] == [0, 1, 4, 9, 16]
    pids = {pid for _, pid in results}
    assert (pids == {os.getpid()}) == (jobs == 1)
    assert len(pids) == jobs


def test_what_is_told_arrives_here() -> None:
    told: list[tuple[object, ...]] = []

    def work(item: str, tell: Tell) -> None:
        tell(item, "begins")

    run_in_pool(work, ["a", "b", "c"], 2, lambda *words: told.append(words))
    assert sorted(told) == [("a", "begins"), ("b", "begins"), ("c", "begins")]


def test_the_failure_of_the_first_item_is_raised_and_nothing_more_begins(tmp_path: Path) -> None:
    before = children()

    def work(item: int, _tell: Tell) -> None:
        (tmp_path / str(item)).touch()
        while not (tmp_path / "1").exists():
            time.sleep(0.01)
        raise InputError(f"item {item}", place="here", remedy="none")

    with pytest.raises(InputError) as caught:
        run_in_pool(work, range(20), 2, ignore)
    assert (caught.value.cause, caught.value.place, caught.value.remedy) == ("item 0", "here", "none")
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}
    assert children() <= before


class OddError(Exception):
    """An error that cannot be made again from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    def work(_item: int, _tell: Tell) -> None:
        raise OddError("left", "right")

    with pytest.raises(RuntimeError, match="leftright"):
        run_in_pool(work, range(2), 2, ignore)


def test_a_killed_process_is_told() -> None:
    before = children()

    def work(_item: int, _tell: Tell) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ExternalError, match="was killed"):
        run_in_pool(work, range(2), 2, ignore)
    assert children() <= before


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals need it")
def test_f2_an_interrupt_ends_the_processes_and_lets_them_tidy_up(tmp_path: Path) -> None:
    before = children()

    def work(item: int, tell: Tell) -> None:
        try:
            tell(item)
            time.sleep(60)
        finally:
            (tmp_path / str(item)).touch()

    def interrupt(_item: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_pool(work, range(2), 2, interrupt)
    assert children() <= before
    assert (tmp_path / "0").exists() or (tmp_path / "1").exists()


def test_there_is_a_processor() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_meanwhile_another_process_works_until_the_block_ends(tmp_path: Path) -> None:
    def work(enough: Callable[[], bool]) -> tuple[int, int]:
        turns = 0
        while not enough():
            turns += 1
            (tmp_path / "turned").touch()
            time.sleep(0.01)
        return turns, os.getpid()

    before = children()
    with meanwhile(work) as results:
        until((tmp_path / "turned").exists)
        assert results == []
    ((turns, pid),) = results
    assert turns > 0
    assert pid != os.getpid()
    assert children() == before


def test_what_fails_meanwhile_leaves_no_result() -> None:
    def work(_enough: Callable[[], bool]) -> int:
        raise InputError("it is met again")

    with meanwhile(work) as results:
        pass
    assert results == []


def test_what_is_killed_meanwhile_leaves_no_result() -> None:
    def work(_enough: Callable[[], bool]) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    with meanwhile(work) as results:
        pass
    assert results == []


def test_a_failure_of_the_block_ends_what_is_done_meanwhile() -> None:
    def work(_enough: Callable[[], bool]) -> None:
        time.sleep(600)

    before = children()
    with pytest.raises(InputError), meanwhile(work):
        raise InputError("the block")
    assert children() == before
