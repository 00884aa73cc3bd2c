"""GitHub, behind one door: nothing else in the project talks to it."""

from __future__ import annotations

from consdb_actions.adapters.github.client import (
    Budget,
    Clock,
    GitHub,
    GitHubError,
    connect,
    quoted,
)
from consdb_actions.adapters.github.events import EventTarget, target_of_event

__all__ = [
    "Budget",
    "Clock",
    "GitHub",
    "GitHubError",
    "EventTarget",
    "connect",
    "quoted",
    "target_of_event",
]
