"""GitHub, behind one door: nothing else in the project talks to it."""

from __future__ import annotations

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.connecting import connect
from consdb_actions.adapters.github.events import Target, target_of_event
from consdb_actions.adapters.github.measures import Budget, Clock, SystemClock
from consdb_actions.adapters.github.problems import GitHubError

__all__ = [
    "Budget",
    "Clock",
    "GitHub",
    "GitHubError",
    "SystemClock",
    "Target",
    "connect",
    "quoted",
    "target_of_event",
]
