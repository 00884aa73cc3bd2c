"""Positions of components in values files, and their tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consdb_actions.deploy.reading import Path, Tree
from consdb_actions.errors import InputError

__all__ = [
    "APPS",
    "DATALINK_FILE",
    "Slot",
    "Values",
    "chosen",
    "datalink_tag",
    "datalink_url",
    "default_files",
    "short_names",
    "slots",
    "values_file",
]

APPS = ("consdb", "consdbtap")

DATALINK_FILE = "datalink-snippets.zip"
"""Asset of an sdm_schemas release with the datalink snippets."""

_CHART = "cadc-tap"
_TAP = (_CHART, "tapSchema", "image")
_NAME = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)?", re.ASCII)
_DATALINK = re.compile(r"https://github\.com/[^/]+/[^/]+/releases/download/(?P<tag>[^/]+)/[^/]+", re.ASCII)
_TRUE = {"true", "yes", "on", "y"}


@dataclass(frozen=True, slots=True)
class Slot:
    """The position of a component; an empty path is missing."""

    component: str  # ``hinfo.latiss``, ``pq``, ``tap-schema`` or ``datalink``
    path: Path  # of the tag; for the datalink, of its URL
    image: Path = ()
    pull_policy: Path = ()
    enable: Path = ()

    @property
    def is_datalink(self) -> bool:
        """Return whether the tag is part of a URL."""
        return self.component == "datalink"


@dataclass(frozen=True, slots=True)
class Values:
    """The values of an environment."""

    environment: str
    own: Tree  # the data of its own values file
    text: str = ""  # the content of its own values file
    defaults: tuple[Tree, ...] = field(default=())  # for values that it does not set, nearest first

    def own_value(self, path: Path) -> str | None:
        """Return a value of the environment's own file, if set."""
        return _value(self.own, path)

    def value(self, path: Path) -> str:
        """Return the effective value; empty if it is set nowhere."""
        own = self.own_value(path)
        return self.default(path) if own is None else own

    def default(self, path: Path) -> str:
        """Return the value without the environment's own file."""
        return next((found for tree in self.defaults if (found := _value(tree, path)) is not None), "")

    def tag(self, slot: Slot) -> str:
        """Return the tag of a component."""
        value = self.value(slot.path)
        return datalink_tag(value) if slot.is_datalink else value

    def is_enabled(self, slot: Slot) -> bool:
        """Tell whether a component is enabled."""
        return not slot.enable or self.value(slot.enable).casefold() in _TRUE

    def image(self, slot: Slot) -> str:
        """Return the image of a component without tag; may be empty."""
        return self.value(slot.image) if slot.image else ""


def _value(tree: Tree, path: Path) -> str | None:
    node: object = tree
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node if isinstance(node, str) else None


def values_file(app: str, environment: str) -> str:
    """Return the path of an environment's values file."""
    return f"applications/{app}/values-{environment}.yaml"


def default_files(app: str) -> tuple[tuple[str, str], ...]:
    """Return the files with defaults, nearest first, and their key for values."""
    own = (f"applications/{app}/values.yaml", "")
    return (own, (f"charts/{_CHART}/values.yaml", _CHART)) if app == "consdbtap" else (own,)


def slots(app: str, values: Values) -> tuple[Slot, ...]:
    """Return the components of an environment in their usual order.

    Instruments are those that the environment's own file names.
    """
    if app == "consdbtap":
        return (
            Slot("tap-schema", (*_TAP, "tag"), (*_TAP, "repository"), (*_TAP, "pullPolicy")),
            Slot("datalink", (_CHART, "config", "datalinkPayloadUrl")),
        )
    found = []
    hinfo = values.own.get("hinfo")
    for name, part in (hinfo if isinstance(hinfo, Mapping) else {}).items():
        if isinstance(part, Mapping) and {"tag", "enable"} & set(part):
            path = ("hinfo", name)
            image = ("hinfo", "image")
            found.append(
                Slot(
                    f"hinfo.{name}",
                    (*path, "tag"),
                    (*image, "repository"),
                    (*image, "pullPolicy"),
                    (*path, "enable"),
                )
            )
    image = ("pq", "image")
    if values.own_value((*image, "tag")) is not None:
        found.append(Slot("pq", (*image, "tag"), (*image, "repository"), (*image, "pullPolicy")))
    return tuple(found)


def chosen(available: Iterable[Slot], names: Sequence[str]) -> tuple[Slot, ...]:
    """Return the selected components: all without names; ``hinfo`` selects every instrument."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                f'"{name[:100]}" is no component',
                place="--component",
                remedy="Components are hinfo, hinfo.INSTRUMENT, pq, tap-schema and datalink.",
            )
    return tuple(
        slot
        for slot in available
        if not names or slot.component in names or slot.component.partition(".")[0] in names
    )


def short_names(components: Iterable[str], everything: Iterable[str]) -> list[str]:
    """Name components briefly: ``hinfo`` where every instrument of it is among them.

    Examples
    --------
    >>> short_names(["hinfo.latiss", "hinfo.lsstcam", "pq"], ["hinfo.latiss", "hinfo.lsstcam", "pq"])
    ['hinfo', 'pq']
    """
    there = list(dict.fromkeys(components))
    whole = {name for name in dict.fromkeys(everything) if name.startswith("hinfo.")}
    if whole and whole <= set(there):
        there = list(dict.fromkeys("hinfo" if name in whole else name for name in there))
    return there


def datalink_url(repository: str, tag: str) -> str:
    """Return the URL of the datalink snippets of a release."""
    return f"https://github.com/{repository}/releases/download/{tag}/{DATALINK_FILE}"


def datalink_tag(url: str) -> str:
    """Return the tag in a datalink URL; else the URL."""
    match = _DATALINK.fullmatch(url)
    return match["tag"] if match else url
