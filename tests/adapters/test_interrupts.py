"""Signals: exceptions while work is done, patience while it is cleaned up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from consdb_actions.adapters.shell import TerminationSignal, shielded, unwinding_on_signals

pytestmark = pytest.mark.usefixtures("default_signals")


class Work:
    """Something that a signal interrupts, and what was done of it."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt = interrupt
        self.done: list[str] = []

    def open(self) -> None:
        try:
            self.interrupt()
            self.done.append("all")
        finally:
            self.done.append("cleaned up")

    def behind_a_shield(self) -> None:
        with shielded():
            self.interrupt()
            self.done.append("inside")
        self.done.append("after")


def elsewhere(signum: signal.Signals) -> None:
    """Have a signal arrive at another thread than the main one."""
    thread = threading.Thread(target=signal.raise_signal, args=(signum,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_and_the_default_comes_back(signum: signal.Signals, code: int) -> None:
    work = Work(lambda: signal.raise_signal(signum))
    with pytest.raises(TerminationSignal) as caught, unwinding_on_signals():
        work.open()
    assert work.done == ["cleaned up"]
    assert caught.value.code == code
    assert signal.getsignal(signum) is signal.SIG_DFL


def test_nesting_changes_nothing() -> None:
    with unwinding_on_signals():
        outer = signal.getsignal(signal.SIGTERM)
        with unwinding_on_signals():
            assert signal.getsignal(signal.SIGTERM) is outer
        assert signal.getsignal(signal.SIGTERM) is outer


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_what_somebody_set_stays(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with unwinding_on_signals():
            assert signal.getsignal(signal.SIGHUP) is handler
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("send", [signal.raise_signal, elsewhere])
def test_a_shield_holds_an_interrupt_off_until_its_end(send: Callable[[signal.Signals], None]) -> None:
    work = Work(lambda: send(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        work.behind_a_shield()
    assert work.done == ["inside"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_shield_inside_of_unwinding() -> None:
    work = Work(lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(TerminationSignal), unwinding_on_signals():
        work.behind_a_shield()
    assert work.done == ["inside"]


def test_an_error_inside_of_a_shield_passes() -> None:
    with pytest.raises(ZeroDivisionError), shielded():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_change_no_handlers() -> None:
    seen = []

    def work() -> None:
        with unwinding_on_signals(), shielded():
            seen.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[signal.default_int_handler, signal.SIG_DFL]]
