"""What a run remembers of GitHub's answers, so that it does not ask twice for the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["Answer", "Answers"]

Answer = tuple[Mapping[str, str], Any]
"""Headers and parsed JSON."""


class Answers:
    """The answers of one connection.

    Parameters
    ----------
    full
        Entries of a full page.

    Attributes
    ----------
    lasting
        Answers that can never change, by what was asked.
    """

    def __init__(self, full: int) -> None:
        self.lasting: dict[str, Any] = {}
        self._full = full
        self._moment: dict[str, Answer] | None = None
        self._conditional: dict[str, Answer] = {}

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Keep all answers until this ends."""
        if self._moment is not None:
            yield
            return
        self._moment = {}
        try:
            yield
        finally:
            self._moment = None

    def end_moment(self) -> None:
        """Ask anew from here on, as is right once something is changed."""
        self._moment = None

    def find(self, url: str, *, lasting: bool) -> Answer | None:
        """Return an answer that holds still; None where GitHub has to be asked."""
        if lasting and url in self.lasting:
            found: Answer = self.lasting[url]
            return found
        return self._moment.get(url) if self._moment is not None else None

    def keep(self, url: str, answer: Answer, *, lasting: bool) -> None:
        """Keep an answer."""
        if lasting:
            self.lasting[url] = answer
        if self._moment is not None:
            self._moment[url] = answer
        if "etag" in answer[0]:
            self._conditional[url] = answer

    def known(self, url: str) -> Answer | None:
        """Return the last answer, which GitHub can be asked to compare with its present one; None for none.

        A full last page grows a "next" link without changing itself: such a page is read anew.
        """
        known = self._conditional.get(url)
        if known is not None and isinstance(known[1], list) and len(known[1]) >= self._full:
            return None
        return known
