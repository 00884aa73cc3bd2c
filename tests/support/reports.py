"""Reports against their JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker

from consdb_actions.forms import as_json, json_schema


def checked(report: Any, kind: type[Any] | None = None) -> Any:
    """Return a report, or the JSON text of one, as data; it must be as the schema says."""
    data = json.loads(report) if isinstance(report, str) else as_json(report)
    _validator(cast("Hashable", kind or type(report))).validate(data)
    return data


@cache
def _validator(kind: Any) -> Draft202012Validator:
    return Draft202012Validator(json_schema(kind), format_checker=FormatChecker())
