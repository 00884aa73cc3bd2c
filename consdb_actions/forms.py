"""How values are written in files: annotations of dataclasses that pydantic reads.

Pydantic is imported when a file is read, not with the dataclasses.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from types import FunctionType, SimpleNamespace, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

T = TypeVar("T")

STRICT = {"strict": True, "extra": "forbid", "allow_inf_nan": False}
"""Pydantic's configuration of whole files; the dataclasses in them inherit it."""


OUTPUT = {**STRICT, "use_attribute_docstrings": True}
"""Pydantic's configuration of reports, where every key is present."""


class WrongValueError(ValueError):
    """A value that its type allows and its meaning does not; pydantic adds the place."""

    def __init__(
        self, cause: str, remedy: str = "", path: Sequence[str | int] = (), known: Collection[str] = ()
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.path = tuple(path)  # within the value
        self.known = known  # words that the last one of the path may have been meant as


class Form:
    """The form of a value, for ``Annotated``.

    Parameters
    ----------
    description
        For people: what it is, or how it is written where there is a pattern.
    kind
        Its type in the file, where that is another one; `then` converts it.
    then
        Checks or converts the valid value; raises `WrongValueError`.
    constraints
        Of the core schema, such as ``pattern``, ``min_length`` or ``le``.
    """

    def __init__(
        self,
        description: str = "",
        *,
        kind: Any = None,
        then: Callable[[Any], Any] | None = None,
        **constraints: Any,
    ) -> None:
        self.description = description
        self.kind = kind
        self.then = then
        self.constraints = constraints

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of the value."""
        from pydantic_core import core_schema

        schema = handler(source) if self.kind is None else handler.generate_schema(self.kind)
        if schema["type"] == "nullable":  # what is left out is None, and what is given is not
            schema = schema["schema"]
        if self.constraints:
            schema = {**schema, **self.constraints}
        return core_schema.no_info_after_validator_function(self.then, schema) if self.then else schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Return the JSON Schema of the value."""
        made = dict(handler(schema))
        if self.description:
            made["description"] = self.description
        if self.then is unique:
            made["uniqueItems"] = True
        return made


class Public:
    """A dataclass that is published: all of its fields, or what `PUBLIC` names.

    ``PUBLIC`` is a list of ``key`` or ``key=path``: fields, properties and methods without parameters, of
    their values too, as in ``number=pull.number``. A report has a ``FORMAT``, which is raised with it.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = OUTPUT
    PUBLIC: ClassVar[str] = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of what is published."""
        if not cls.PUBLIC:
            return handler(source)
        from pydantic_core import core_schema

        paths = {key: path or key for key, _, path in (item.partition("=") for item in cls.PUBLIC.split())}
        ways = {key: list(_types(cls, path)) for key, path in paths.items()}
        fields = {
            key: core_schema.typed_dict_field(handler.generate_schema(way[-1][2]), required=True)
            for key, way in ways.items()
        }
        made = core_schema.typed_dict_schema(
            fields,
            metadata={"origins": {key: way[-1][:2] for key, way in ways.items()}},
            extra_behavior="forbid",
        )
        writer = core_schema.plain_serializer_function_ser_schema(
            lambda value: {key: _value(value, path) for key, path in paths.items()}, return_schema=made
        )
        name = f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"
        return core_schema.is_instance_schema(cls, ref=name, serialization=writer)


def _value(value: Any, path: str) -> Any:
    """Return what a path leads to; None where a part of it is None."""
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
        value = value() if callable(value) else value
    return value


def _types(kind: Any, path: str) -> Iterator[tuple[type, str, Any]]:
    """Return for each part of a path the class, its attribute, and the type of that."""
    absent = False
    for name in path.split("."):
        found = next(one for one in kind.__mro__ if name in vars(one) or name in vars(one)["__annotations__"])
        attribute = vars(found).get(name)
        function = getattr(attribute, "fget", attribute)
        if isinstance(function, FunctionType):
            hint = get_type_hints(function, include_extras=True)["return"]
        else:
            # One by one: of what is not published, the types need not be there at run time.
            annotated = SimpleNamespace(__annotations__={"it": found.__annotations__[name]})
            hint = get_type_hints(annotated, vars(sys.modules[found.__module__]), include_extras=True)["it"]
        yield found, name, hint | None if absent else hint
        given = [one for one in get_args(hint) if one is not type(None)]
        if get_origin(hint) in (Union, UnionType) and len(given) == 1:
            hint, absent = given[0], True
        kind = hint


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return values, or raise `WrongValueError` if one is defined twice."""
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            raise WrongValueError(f'"{value}" is defined twice', "Remove one of them.", (index,))
        seen.add(value)
    return values


def matches_path(path: str, patterns: Collection[str]) -> bool:
    """Tell whether a path matches one of some patterns, of which ``*`` does not match a slash."""
    parts = path.split("/")
    each = (pattern.split("/") for pattern in patterns)
    return any(len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted)) for wanted in each)


Name = Annotated[str, Form(min_length=1)]
Line = Annotated[str, Form("Text on one line.", max_length=300, pattern=r"^[^\x00-\x1f]*$")]
Id = Annotated[
    str, Form("Lower-case letters, digits and dashes, a letter first.", pattern=r"^[a-z][a-z0-9-]{0,29}$")
]


_ADAPTERS: dict[type, Any] = {}


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return pydantic's reader and writer of a dataclass."""
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    made: TypeAdapter[T] = _ADAPTERS[kind]
    return made


def as_json(value: Any, *, sparse: bool = False) -> dict[str, Any]:
    """Return a dataclass as JSON values; `sparse` is without what is as by default."""
    made = adapter(type(value)).dump_python(value, mode="json", exclude_defaults=sparse)
    return {"format": value.FORMAT, **made} if hasattr(value, "FORMAT") else made


def hidden(name: str, data: Any) -> str:
    """Write data as an HTML comment, which nothing in it can end."""
    text = json.dumps(data, separators=(",", ":"))
    text = re.sub(r"(?<=-)-|[<>@&]", lambda match: f"\\u{ord(match[0]):04x}", text)
    return f"<!-- consdb-actions:{name} {text} -->"


def read_hidden(name: str, body: str, kind: type[T], *, last: bool = False) -> T | None:
    """Read the first data of a name in a text, or the last; None if missing or not of its type."""
    found = re.findall(rf"<!-- consdb-actions:{name} (\{{[^\n]{{0,60000}}?\}}) -->", body)
    if not found:
        return None
    try:
        return adapter(kind).validate_json(found[-1 if last else 0])
    except ValueError:
        return None


def json_schema(kind: type[Any], generator: type[GenerateJsonSchema] | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a file or report, without what only repeats it."""
    from pydantic.json_schema import GenerateJsonSchema

    reported = kind.__pydantic_config__ is OUTPUT
    schema = adapter(kind).json_schema(
        mode="serialization" if reported else "validation", schema_generator=generator or GenerateJsonSchema
    )
    if "$ref" in schema:
        schema |= schema["$defs"].pop(schema.pop("$ref").rpartition("/")[2])
    if hasattr(kind, "FORMAT"):
        schema["properties"] = {"format": {"const": kind.FORMAT}, **schema["properties"]}
    stack: list[Any] = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, dict):
            if isinstance(part.get("title"), str):
                del part["title"]
            if not isinstance(part.get("default", ""), str | bool | int):
                del part["default"]
            if reported and isinstance(part.get("properties"), dict) and part.get("type") == "object":
                part |= {"required": list(part["properties"]), "additionalProperties": False}
            if "patternProperties" in part:
                part["additionalProperties"] = False
            stack.extend(part.values())
    return schema
