"""Run a function for several items in forked processes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import select
import signal
import struct
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn, TypeVar, cast

from consdb_actions.adapters.shell import raise_terminated, shielded
from consdb_actions.errors import ExternalError

Item = TypeVar("Item")
Result = TypeVar("Result")
Tell = Callable[..., None]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NUMBER = struct.Struct("I")
_SECONDS_TO_STOP = 10.0
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


@dataclass(frozen=True)
class _Worker:
    pid: int
    channel: Connection[Any, Any]


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_pool(
    function: Callable[[Item, Tell], Result], items: Sequence[Item], jobs: int, tell: Tell
) -> list[Result]:
    """Call a function for each item in several processes.

    The function gets an item and a callback for progress messages, which are passed to `tell` here; its
    result must be picklable. At most `jobs` run at a time; with one job everything runs in this process.
    Results are in the order of items. The first item's exception is raised after running items end, and no
    further item starts; a killed process raises `ExternalError`.
    """
    if min(jobs, len(items)) < 2:
        return [function(item, tell) for item in items]
    queue, fill = os.pipe()
    try:
        os.write(fill, b"".join(_NUMBER.pack(number) for number in range(len(items))))
    finally:
        os.close(fill)
    workers: list[_Worker] = []
    try:
        for _ in range(min(jobs, len(items))):
            with shielded():
                workers.append(_start(function, items, queue))
        done, failed = _collect(workers, queue, tell)
    finally:
        os.close(queue)
        _stop(workers)
    if failed:
        raise failed[min(failed)]
    if len(done) < len(items):
        raise ExternalError(
            "a process that did part of the work was killed",
            remedy="Check whether the machine ran out of memory; --jobs 1 needs the least.",
        )
    return [done[number] for number in range(len(items))]


@contextmanager
def meanwhile(function: Callable[[Callable[[], bool]], Result]) -> Iterator[list[Result]]:
    """Run a function in another process during the block."""
    queue, fill = os.pipe()
    os.write(fill, _NUMBER.pack(0))
    os.close(fill)
    ended, end = os.pipe()

    def work(_item: None, _tell: Tell) -> Result:
        os.close(end)
        return function(lambda: bool(select.select([ended], [], [], 0)[0]))

    results: list[Result] = []
    workers: list[_Worker] = []
    with ExitStack() as stack:
        stack.callback(_stop, workers)
        stack.callback(os.close, queue)
        stack.callback(os.close, ended)
        try:
            with shielded():
                workers.append(_start(work, [None], queue))
            yield results
        finally:
            os.close(end)
        done, _failed = _collect(workers, queue, lambda *_arguments: None)
        results.extend(done.values())


def _start(function: Callable[[Any, Tell], Any], items: Sequence[Any], queue: int) -> _Worker:
    receive, send = Pipe(duplex=False)
    # Blocked until the child has its own handlers: ours would lose a termination signal there.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        with warnings.catch_warnings():
            # Python warns of locks of other threads; ours only draw progress, and the child does not.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            receive.close()
            _work(function, items, queue, send, mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    send.close()
    return _Worker(pid, receive)


def _work(
    function: Callable[[Any, Tell], Any],
    items: Sequence[Any],
    queue: int,
    channel: Connection[Any, Any],
    mask: Iterable[int],
) -> NoReturn:
    """Process items in a forked child, and exit without the parent's cleanup."""
    code = 1
    # The parent's objects live as long as this process: searching them for cycles copies their memory.
    gc.freeze()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, raise_terminated)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        for number in _numbers(queue):
            try:
                result = function(items[number], lambda *arguments: channel.send(("progress", 0, arguments)))
            except Exception as error:
                channel.send(("failed", number, _portable(error)))
                break
            else:
                channel.send(("done", number, result))
        code = 0
    finally:
        os._exit(code)


def _numbers(queue: int) -> Iterator[int]:
    while data := os.read(queue, _NUMBER.size):
        yield _NUMBER.unpack(data)[0]


def _portable(error: Exception) -> Exception:
    """Return a picklable error, with its traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what this process itself wrote
    except Exception:  # an error of a library, with its own arguments
        again = None
    return error if type(again) is type(error) else RuntimeError("".join(traceback.format_exception(error)))


def _collect(
    workers: Sequence[_Worker], queue: int, tell: Tell
) -> tuple[dict[int, Any], dict[int, Exception]]:
    done: dict[int, Any] = {}
    failed: dict[int, Exception] = {}
    channels: list[Any] = [worker.channel for worker in workers]
    while channels:
        for channel in wait(channels):
            try:
                kind, number, value = cast("Connection[Any, Any]", channel).recv()
            except (EOFError, OSError):
                channels.remove(channel)
                continue
            if kind == "progress":
                tell(*value)
            elif kind == "done":
                done[number] = value
            else:
                failed[number] = value
                for _ in _numbers(queue):  # no further item starts
                    pass
    return done, failed


def _stop(workers: Sequence[_Worker]) -> None:
    with shielded():
        running = {worker.pid for worker in workers}
        for worker in workers:
            worker.channel.close()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        asked: set[int] = set()
        while running:
            for pid in list(running):
                ended, _ = os.waitpid(pid, os.WNOHANG)
                if ended:
                    running.discard(pid)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
                    asked.add(pid)
                elif time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
            if running:
                time.sleep(0.005)
