"""GitHub's own OpenAPI description: completes the double's answers, and checks requests and answers."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

_HOME = "urn:github-openapi"

_OWN_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")

KNOWN_DIFFERENCES = {
    "null": "GitHub shows `null` for an account that is gone or unknown and for a label without description, "
    "where its own description of the call has a value",
    "undescribed error": "GitHub answers with an error that its description of the call does not list",
    "overlapping alternatives": "some errors are described as one of two shapes, and fit both",
}
"""Where GitHub is known to differ from its own description; each is tolerated and counted."""


class MismatchError(AssertionError):
    """A request or response that does not fit the description."""


@dataclass
class _Operation:
    pointer: str
    content: dict[str, Any]


class Description:
    """GitHub's description, from the file ``api.github.com.json``."""

    def __init__(self, path: Path) -> None:
        self._document: dict[str, Any] = json.loads(path.read_text())
        self._registry: Registry[Any] = Registry().with_resource(
            _HOME, DRAFT4.create_resource(self._document)
        )
        self._validators: dict[tuple[str, bool], Any] = {}
        self._valid: set[tuple[str, bool, int]] = set()
        self.checked = 0
        self.tolerated: dict[str, int] = {}

    @property
    def paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = self._document["paths"]
        return paths

    def check_request(self, method: str, template: str, query: dict[str, str], body: Any) -> None:
        """Raise `MismatchError` when a request is not one that the description knows."""
        operation = self._operation(method, template)
        known = {item["name"] for item in self._parameters(operation.content) if item["in"] == "query"}
        if unknown := set(query) - known:
            raise MismatchError(f"{method} {template}: unknown query parameters {sorted(unknown)}")
        declared = operation.content.get("requestBody")
        if declared is None:
            if body is not None:
                raise MismatchError(f"{method} {template}: takes no body")
            return
        if body is None and declared.get("required"):
            raise MismatchError(f"{method} {template}: needs a body")
        if body is not None:
            pointer = f"{operation.pointer}/requestBody/content/application~1json/schema"
            self._check(f"{method} {template} request", pointer, body)

    def check_response(self, method: str, template: str, status: int, body: Any) -> None:
        """Add what the description requires and no test looks at; raise `MismatchError` on any difference."""
        operation = self._operation(method, template)
        responses = operation.content["responses"]
        if status >= 400 and str(status) not in responses:
            self._tolerate("undescribed error")
            return
        if str(status) not in responses:
            raise MismatchError(f"{method} {template}: status {status} is not described")
        pointer = f"{operation.pointer}/responses/{status}"
        response = responses[str(status)]
        if "$ref" in response:
            pointer = response["$ref"].removeprefix("#")
            response = self._resolve(pointer)
        if "application/json" not in response.get("content", {}):
            if body is not None and status != 422:
                raise MismatchError(f"{method} {template}: {status} has no body")
            return
        schema = response["content"]["application/json"]["schema"]
        self._fill(schema, body)
        pointer = f"{pointer}/content/application~1json/schema"
        self._check(f"{method} {template} response {status}", pointer, body, schema)

    def _fill(self, schema: dict[str, Any], value: Any) -> None:
        """Add the missing required members."""
        schema = self._plain(schema)
        if alternatives := [self._plain(item) for key in ("anyOf", "oneOf") for item in schema.get(key, ())]:
            known = set(value) if isinstance(value, dict) else set()
            fits = []
            for item in alternatives:
                shared = known.intersection(item.get("properties", ()))
                enums = {name: self._plain(item["properties"][name]).get("enum") for name in shared}
                wrong = [name for name, enum in enums.items() if enum and value[name] not in enum]
                fits.append((-len(wrong), len(shared), -len(item.get("required", ()))))
            self._fill(alternatives[fits.index(max(fits))], value)
        if isinstance(value, list):
            for item in value:
                self._fill(schema.get("items", {}), item)
        if isinstance(value, dict):
            properties = schema.get("properties", {})
            for name in schema.get("required", ()):
                if name not in value:
                    value[name] = self._blank(properties.get(name, {}))
            for name in properties.keys() & value.keys():
                self._fill(properties[name], value[name])

    def _blank(self, schema: dict[str, Any]) -> Any:
        """Return a value of no meaning."""
        schema = self._plain(schema)
        if schema.get("nullable"):
            return None
        if "enum" in schema:
            return schema["enum"][0]
        for inner in ("anyOf", "oneOf"):
            if inner in schema:
                return self._blank(schema[inner][0])
        blanks = {
            "integer": schema.get("minimum", 0),
            "number": 0,
            "boolean": False,
            "array": [],
            "string": "",
        }
        strings = {"uri": "https://example.org", "date-time": "2026-01-01T00:00:00Z"}
        blank = strings.get(schema.get("format", "")) or blanks.get(schema.get("type", "object"), {})
        return copy.copy(blank)

    def _plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Resolve a reference, and put the parts of one schema together."""
        while "$ref" in schema:
            schema = self._resolve(schema["$ref"].removeprefix("#"))
        parts = [self._plain(part) for part in schema.get("allOf", ())]
        for part in parts:
            properties = {**schema.get("properties", {}), **part.get("properties", {})}
            required = [*schema.get("required", ()), *part.get("required", ())]
            schema = {**part, **schema, "properties": properties, "required": required}
        return schema

    def _operation(self, method: str, template: str) -> _Operation:
        item = self.paths.get(template, {}).get(method.lower())
        if item is None:
            raise MismatchError(f"{method} {template} is not in the description")
        return _Operation(f"/paths/{_escape(template)}/{method.lower()}", item)

    def _parameters(self, operation: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            self._resolve(item["$ref"].removeprefix("#")) if "$ref" in item else item
            for item in operation.get("parameters", [])
        ]

    def _resolve(self, pointer: str) -> Any:
        value: Any = self._document
        for part in pointer.strip("/").split("/"):
            value = value[part.replace("~1", "/").replace("~0", "~")]
        return value

    def _check(self, what: str, pointer: str, value: Any, answer: dict[str, Any] | None = None) -> None:
        key = (pointer, answer is None)
        if key not in self._validators:
            kind = OAS30WriteValidator if answer is None else OAS30ReadValidator
            self._validators[key] = kind({"$ref": f"{_HOME}#{pointer}"}, registry=self._registry)
        validator = self._validators[key]
        self.checked += 1
        known = (*key, hash(_OWN_ADDRESS.sub("", json.dumps(value))))
        if known in self._valid:
            return
        if validator.is_valid(value):
            self._valid.add(known)
            return
        if answer is not None:
            haunted = _with_ghosts(value)
            self._fill(answer, haunted)
            if validator.is_valid(haunted):
                self._tolerate("null")
                return
        if all(error.validator == "oneOf" and not error.context for error in validator.iter_errors(value)):
            self._tolerate("overlapping alternatives")
            return
        errors = [inner for error in validator.iter_errors(value) for inner in error.context or [error]]
        shown = "; ".join(f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in errors[:4])
        raise MismatchError(f"{what}: {shown}")

    def _tolerate(self, difference: str) -> None:
        assert difference in KNOWN_DIFFERENCES
        self.tolerated[difference] = self.tolerated.get(difference, 0) + 1


def _with_ghosts(value: Any) -> Any:
    """Put an account, a description, a conclusion or the repository of a fork where one is missing."""
    value = copy.deepcopy(value)

    def fill(item: Any) -> None:
        if isinstance(item, dict):
            head = item.get("head")
            if isinstance(head, dict) and "repo" in head and head["repo"] is None:
                head["repo"] = item["base"]["repo"]
            for key, inner in item.items():
                if key in ("user", "actor", "author", "committer") and inner is None:
                    item[key] = {"login": "ghost", "type": "User"}
                elif key == "description" and inner is None:
                    item[key] = ""
                elif key == "conclusion" and inner is None:
                    item[key] = "neutral"  # null while a check runs; the enumeration lacks it
                else:
                    fill(inner)
        elif isinstance(item, list):
            for inner in item:
                fill(inner)

    fill(value)
    return value


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
