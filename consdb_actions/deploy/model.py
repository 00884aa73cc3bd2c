"""Image tags, environments, components and the policy of a deployment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from consdb_actions.deploy.values import Path, Tree, insert_scalar, remove_scalar, set_scalar
from consdb_actions.errors import InputError
from consdb_actions.forms import Form, Public, WrongValueError, unique
from consdb_actions.release.versions import parse_version

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_WEEK = re.compile(r"w\.(?P<year>20[0-9]{2})\.(?P<week>[0-9]{1,2})", re.ASCII)
_NUMBERS = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}", re.ASCII)
_TICKET = re.compile(r"tickets-(?P<rest>[A-Za-z0-9][A-Za-z0-9._-]*)", re.ASCII)


class TagKind(StrEnum):
    """The kind of a tag."""

    RELEASE = "release"
    WEEKLY = "weekly"
    TICKET = "ticket image"
    MAIN = "main"
    EMPTY = "empty"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ImageTag(Public):
    """A classified image tag."""

    PUBLIC: ClassVar[str] = "text kind"

    text: str
    kind: TagKind
    order: tuple[int, ...] = ()  # sort key among tags of one kind; empty if they have no order

    @property
    def is_fixed(self) -> bool:
        """Return whether the tag always names the same image."""
        return self.kind in (TagKind.RELEASE, TagKind.WEEKLY)

    def is_older_than(self, other: ImageTag) -> bool:
        """Tell whether both are of one kind, and this one comes first."""
        return self.kind is other.kind and bool(self.order) and self.order < other.order

    def is_at_least(self, other: ImageTag) -> bool:
        """Tell whether this is the same or a later tag."""
        return (
            self.text == other.text
            or (bool(self.order) and self.order == other.order)
            or other.is_older_than(self)
        )


def read_tag(text: str) -> ImageTag:
    """Classify a tag.

    Examples
    --------
    >>> read_tag("26.6.2").kind, read_tag("w.2026.18").order, read_tag("tickets-DM-1").kind
    (<Kind.RELEASE: 'release'>, (2026, 18), <Kind.TICKET: 'ticket image'>)
    """
    if not text:
        return ImageTag(text, TagKind.EMPTY)
    if version := parse_version(text):
        return ImageTag(text, TagKind.RELEASE, (version.year, version.month, version.number))
    if week := _WEEK.fullmatch(text):
        return ImageTag(text, TagKind.WEEKLY, (int(week["year"]), int(week["week"])))
    if _NUMBERS.fullmatch(text):
        # The versions before calendar versions are older than all of those.
        return ImageTag(text, TagKind.RELEASE, tuple(map(int, text.split("."))))
    if _TICKET.fullmatch(text):
        return ImageTag(text, TagKind.TICKET)
    return ImageTag(text, TagKind.MAIN if text == "main" else TagKind.OTHER)


def check_tag(text: str) -> ImageTag:
    """Classify a tag from user input, or raise `InputError`."""
    if not _TAG.fullmatch(text):
        raise InputError(
            f'"{text[:100]}" is not a tag of an image',
            place="--tag",
            remedy="Tags are such as 26.6.2, w.2026.18, or tickets-DM-12345 for a branch.",
        )
    return read_tag(text)


def branch_tag(tag: ImageTag) -> str:
    """Return the branch of a ticket image; empty if unknown.

    Examples
    --------
    >>> branch_tag(read_tag("tickets-DM-12345"))
    'tickets/DM-12345'
    """
    match = _TICKET.fullmatch(tag.text)
    return f"tickets/{match['rest']}" if match else ""


Place = Annotated[str, Form("Lower-case letters, digits and dashes.", pattern="^[a-z0-9][a-z0-9-]{0,39}$")]

Repository = Annotated[
    str,
    Form(
        "A repository, as OWNER/NAME.",
        pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
    ),
]


@dataclass(frozen=True, slots=True)
class Stage:
    """Environments that are deployed together, in one pull request."""

    name: Annotated[Place, Form("Name of the stage.")]
    environments: Annotated[
        tuple[Place, ...],
        Form("Its environments, as in values-ENVIRONMENT.yaml.", min_length=1, then=unique),
    ]
    finished: Annotated[
        Literal["all", "any"],
        Form(
            "Whether all of its environments must run a release before the next stage has its turn, "
            "or any of them."
        ),
    ] = "all"


STRICT = ("summit", "usdfprod")


@dataclass(frozen=True, slots=True)
class DeployPolicy:
    """The configuration of deployments."""

    repository: Annotated[Repository, Form("Where the values files are.")] = "lsst-sqre/phalanx"
    base: Annotated[
        str, Form("The branch that is deployed.", pattern="^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")
    ] = "main"
    stages: Annotated[
        tuple[Stage, ...],
        Form(
            "The stages in their order: test-stands, summit, usdf and prod by default. "
            "A list replaces them all.",
            min_length=1,
        ),
    ] = (
        Stage("test-stands", ("base", "tucson-teststand")),
        Stage("summit", ("summit",)),
        Stage("usdf", ("usdfdev", "usdfint")),
        Stage("prod", ("usdfprod",)),
    )
    strict: Annotated[
        tuple[Place, ...],
        Form(
            "Environments in which only releases run, unless that is waived with an end: "
            "summit and usdfprod by default.",
            then=unique,
        ),
    ] = STRICT
    labels: Annotated[
        tuple[Annotated[str, Form(min_length=1, max_length=50)], ...],
        Form("Labels of the pull requests.", then=unique),
    ] = ()
    longest_waiver: Annotated[int, Form("Days that a waiver may last.", ge=1, le=366)] = 30
    test_days: Annotated[
        int,
        Form("Days that a branch may be tested in an environment before that is drift.", ge=0, le=366),
    ] = 14
    consdb: Annotated[Repository, Form("Where the releases of consdb come from.")] = "lsst-dm/consdb"
    sdm_schemas: Annotated[Repository, Form("Where the releases of the TAP schema come from.")] = (
        "lsst/sdm_schemas"
    )

    def __post_init__(self) -> None:
        if self.strict is STRICT:  # the default, as far as it exists
            known = tuple(name for name in STRICT if name in self.environments)
            object.__setattr__(self, "strict", known)
        for what, names in (
            ("stage", [stage.name for stage in self.stages]),
            ("environment", list(self.environments)),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    raise WrongValueError(f"the {what} {name} is defined twice", "Name it once.", ("stages",))
        for index, name in enumerate(self.strict):
            if name not in self.environments:
                remedy = f"The environments are {', '.join(self.environments)}."
                raise WrongValueError(f"{name} is in no stage", remedy, ("strict", index))

    @property
    def environments(self) -> tuple[str, ...]:
        """Return all environments in the order of the stages."""
        return tuple(name for stage in self.stages for name in stage.environments)

    def stage(self, name: str) -> Stage:
        """Return a stage by name, or raise `InputError`."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise InputError(
            f'there is no stage "{name[:100]}"', place="--stage", remedy=f"The stages are {known}."
        )

    def stage_of(self, environment: str) -> Stage:
        """Return the stage of an environment, or raise `InputError`."""
        for stage in self.stages:
            if environment in stage.environments:
                return stage
        raise InputError(
            f'there is no environment "{environment[:100]}"',
            place="--env",
            remedy=f"The environments are {', '.join(self.environments)}.",
        )

    def source(self, app: str) -> str:
        """Return the repository of an application's releases."""
        return self.consdb if app == "consdb" else self.sdm_schemas


APPS = ("consdb", "consdbtap")

DATALINK_FILE = "datalink-snippets.zip"  # Asset of an sdm_schemas release with the datalink snippets

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
    source: Path = ()  # of the mapping with the image and its pull policy
    enable: Path = ()

    @property
    def pull_policy(self) -> Path:
        """Return the path of the pull policy; empty without an image."""
        return (*self.source, "pullPolicy") if self.source else ()

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
        return self.value((*slot.source, "repository")) if slot.source else ""


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
    """Return an environment's components in order, with the instruments that its own file names."""
    if app == "consdbtap":
        return (
            Slot("tap-schema", (*_TAP, "tag"), _TAP),
            Slot("datalink", (_CHART, "config", "datalinkPayloadUrl")),
        )
    found = []
    hinfo = values.own.get("hinfo")
    for name, part in (hinfo if isinstance(hinfo, Mapping) else {}).items():
        if isinstance(part, Mapping) and {"tag", "enable"} & set(part):
            path = ("hinfo", name)
            found.append(Slot(f"hinfo.{name}", (*path, "tag"), ("hinfo", "image"), (*path, "enable")))
    image = ("pq", "image")
    if values.own_value((*image, "tag")) is not None:
        found.append(Slot("pq", (*image, "tag"), image))
    return tuple(found)


def chosen(available: Iterable[Slot], names: Sequence[str]) -> tuple[Slot, ...]:
    """Return the selected components: all without names; ``hinfo`` selects every instrument."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                f'"{name[:100]}" is not a component',
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


PULL_POLICY = "pull policy"

ALWAYS = "Always"


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A changed value in the values file of an environment."""

    environment: str
    component: str  # for a pull policy its owner, such as ``hinfo`` for all instruments
    what: str  # ``tag``, ``datalink`` or ``pull policy``
    old: str  # a tag or a policy; empty if unset
    new: str  # a tag or a policy; empty if the default applies again
    enabled: bool = True

    @property
    def is_tag(self) -> bool:
        """Return whether an image tag changes."""
        return self.what == "tag"

    @property
    def goes_back(self) -> bool:
        """Return whether an older tag replaces a newer one."""
        return read_tag(self.new).is_older_than(read_tag(self.old))


def edited(
    app: str, values: Values, wanted: Sequence[Slot], tag: ImageTag, sdm_schemas: str
) -> tuple[str, list[ValueChange]]:
    """Write a tag into a values file.

    A tag that can move needs the pull policy Always, else a node keeps its cached image. A release removes
    that line again; all other values stay.
    """
    text, place = values.text, values_file(app, values.environment)
    changes: list[ValueChange] = []
    for slot in wanted:
        old, enabled = values.tag(slot), values.is_enabled(slot)
        value = datalink_url(sdm_schemas, tag.text) if slot.is_datalink else tag.text
        if values.own_value(slot.path) == value:
            continue
        if values.own_value(slot.path) is None:
            text = insert_scalar(text, slot.path, value, after=None, place=place)
        else:
            text = set_scalar(text, slot.path, value, place=place)
        what = "datalink" if slot.is_datalink else "tag"
        changes.append(ValueChange(values.environment, slot.component, what, old, tag.text, enabled))
    for path in dict.fromkeys(slot.pull_policy for slot in wanted if slot.pull_policy):
        # Components that share a policy may include some that are not selected.
        sharing = [slot for slot in slots(app, values) if slot.pull_policy == path]
        before = [read_tag(values.tag(slot)) for slot in sharing]
        after = [tag if slot in wanted else old for slot, old in zip(sharing, before, strict=True)]
        text, change = _policy(text, values, path, before, after, place)
        changes += [change] if change else []
    return text, changes


def _policy(
    text: str, values: Values, path: Path, before: list[ImageTag], after: list[ImageTag], place: str
) -> tuple[str, ValueChange | None]:
    own, now = values.own_value(path), values.value(path)
    component = "tap-schema" if path[0] == "cadc-tap" else path[0]
    if not all(tag.is_fixed for tag in after):
        if now == ALWAYS:
            return text, None
        if own is None:
            text = insert_scalar(text, path, ALWAYS, after="tag", place=place)
        else:
            text = set_scalar(text, path, ALWAYS, place=place)
        return text, ValueChange(values.environment, component, PULL_POLICY, now, ALWAYS)
    # If no tag before was mutable, the policy was set on purpose.
    if own == ALWAYS and not all(tag.is_fixed for tag in before) and values.default(path) != ALWAYS:
        text = remove_scalar(text, path, place=place)
        return text, ValueChange(values.environment, component, PULL_POLICY, ALWAYS, values.default(path))
    return text, None


@dataclass(frozen=True, slots=True)
class WaitingEnvironment:
    """An environment of an earlier stage without the tag or a later one."""

    stage: str
    environment: str
    tags: Mapping[str, str]  # present tags by component

    @property
    def text(self) -> str:
        """Return the present tags as text, such as ``hinfo 26.5.1 and pq 26.6.1``."""
        by_tag: dict[str, list[str]] = {}
        for component, tag in self.tags.items():
            by_tag.setdefault(tag, []).append(component)
        return " and ".join(
            f"{', '.join(short_names(components, self.tags))} {tag or 'without a tag'}"
            for tag, components in by_tag.items()
        )


def waiting_before(
    policy: DeployPolicy,
    stage: Stage,
    app: str,
    components: Collection[str],
    tag: ImageTag,
    values: Mapping[str, Values],
) -> tuple[WaitingEnvironment, ...]:
    """List the environments that keep earlier stages unfinished."""
    found = []
    for earlier in policy.stages[: policy.stages.index(stage)]:
        waiting = []
        for name in (name for name in earlier.environments if name in values):
            behind = {
                slot.component: values[name].tag(slot)
                for slot in slots(app, values[name])
                if slot.component in components
                and values[name].is_enabled(slot)
                and not read_tag(values[name].tag(slot)).is_at_least(tag)
            }
            waiting.append(WaitingEnvironment(earlier.name, name, behind))
        unfinished = [item for item in waiting if item.tags]
        if not (earlier.finished == "any" and len(unfinished) < len(waiting)):
            found += unfinished
    return tuple(found)


def waiting_words(waiting: Iterable[WaitingEnvironment]) -> str:
    """Name unfinished environments, such as ``base and summit have pq 26.5.1``."""
    by_words: dict[str, list[str]] = {}
    for item in waiting:
        by_words.setdefault(item.text, []).append(item.environment)
    words = []
    for what, names in by_words.items():
        who = f"{', '.join(names[:-1])} and {names[-1]} have" if len(names) > 1 else f"{names[0]} has"
        words.append(f"{who} {what}")
    return "; ".join(words)


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A requested deployment."""

    app: str
    tag: ImageTag
    ticket: str
    today: date  # in UTC
    stage: str = ""  # either a stage or environments
    environments: tuple[str, ...] = ()
    components: tuple[str, ...] = ()  # all if empty
    waive_until: date | None = None  # last day of a mutable tag in an environment for releases only (rule R5)
    force_order: bool = False  # whether unfinished stages may be skipped
    repin: bool = False  # whether tag and ticket, which may be empty, follow from the ticket image
    reopen: bool = False  # whether to open a new pull request although the last one was closed unmerged


@dataclass(frozen=True, slots=True)
class DeployRefusal:
    """A reason why a deployment is refused."""

    rule: str  # such as ``R5``
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class UndeployedComponent:
    """A component without the tag after the deployment."""

    environment: str
    component: str
    tag: str
    later: bool


@dataclass(frozen=True, slots=True)
class DeployPlan(Public):
    """A planned deployment."""

    PUBLIC: ClassVar[str] = (
        "app=request.app ticket=request.ticket tag=request.tag.text kind=request.tag.kind "
        "stage=stage.name environments branch files=paths changes images waived "
        "waive_until=request.waive_until waiting force_order=request.force_order left refusals"
    )

    request: DeployRequest
    stage: Stage
    environments: tuple[str, ...]
    changes: tuple[ValueChange, ...] = ()  # by environment and component; empty if everything is deployed
    files: Mapping[str, str] = field(default_factory=dict)  # new content of each changed values file, by path
    components: tuple[str, ...] = ()  # all components of these environments
    images: tuple[tuple[str, str], ...] = ()  # name and tag of each image that must exist
    datalink: str = ""  # URL that must exist; empty for none
    waiting: tuple[WaitingEnvironment, ...] = ()  # unfinished earlier stages
    waived: tuple[str, ...] = ()  # environments for which rule R5 is waived
    left: tuple[UndeployedComponent, ...] = ()  # components without the tag afterwards
    refusals: tuple[DeployRefusal, ...] = ()  # the deployment is allowed if empty

    @property
    def branch(self) -> str:
        """Return the branch of the pull request: one per ticket, application and stage."""
        return f"tickets/{self.request.ticket}-{self.request.app}-{self.stage.name}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the values files that change."""
        return tuple(sorted(self.files))
