"""Sections of the configuration."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from consdb_actions.adapters.typed_files import parse_config, typed
from consdb_actions.forms import as_json

T = TypeVar("T")


def through_json(facts: T) -> T:
    """Return facts after their way through a file."""
    values = json.loads(json.dumps(as_json(facts, sparse=True)))
    assert values.pop("format")
    return typed(type(facts), values, source="facts.json")


def section(name: str, values: Any, **others: Any) -> Any:
    """Return what the configuration makes of a section."""
    config = parse_config(json.dumps({name: values, **others}), source="c.yaml")
    return config.process_policy if name == "process" else getattr(config, name)
