"""A double of GitHub: stateful, over HTTP, on real bare git repositories.

A test makes a :class:`World`, lets people do things in it, starts a :class:`GitHubDouble` on it and points
the program at its `url`. Faults can be put at any call. Requests and answers are held against GitHub's own
OpenAPI description where that can be had; the double then refuses to close on any difference.
"""

from __future__ import annotations

from tests.support.github.clock import TestClock
from tests.support.github.faults import Fault, Kind
from tests.support.github.openapi import Description, MismatchError
from tests.support.github.server import GitHubDouble, Served
from tests.support.github.world import World

__all__ = ["Description", "Fault", "GitHubDouble", "Kind", "MismatchError", "Served", "TestClock", "World"]
