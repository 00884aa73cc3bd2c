"""Changes of one values file by a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consdb_actions.deploy.components import Slot, Values, datalink_url, slots, values_file
from consdb_actions.deploy.reading import Path
from consdb_actions.deploy.tags import Tag, read_tag
from consdb_actions.deploy.values import insert_scalar, remove_scalar, set_scalar

__all__ = ["PULL_POLICY", "Change", "edited"]

PULL_POLICY = "pull policy"
ALWAYS = "Always"


@dataclass(frozen=True, slots=True)
class Change:
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
    app: str, values: Values, wanted: Sequence[Slot], tag: Tag, sdm_schemas: str
) -> tuple[str, list[Change]]:
    """Write a tag into a values file.

    A tag that can move needs the pull policy Always, else a node keeps its cached image. A release removes
    that line again; all other values stay.
    """
    text, place = values.text, values_file(app, values.environment)
    changes: list[Change] = []
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
        changes.append(Change(values.environment, slot.component, what, old, tag.text, enabled))
    for path in dict.fromkeys(slot.pull_policy for slot in wanted if slot.pull_policy):
        # Components that share a policy may include some that are not selected.
        sharing = [slot for slot in slots(app, values) if slot.pull_policy == path]
        before = [read_tag(values.tag(slot)) for slot in sharing]
        after = [tag if slot in wanted else old for slot, old in zip(sharing, before, strict=True)]
        text, change = _policy(text, values, path, before, after, place)
        changes += [change] if change else []
    return text, changes


def _policy(
    text: str, values: Values, path: Path, before: list[Tag], after: list[Tag], place: str
) -> tuple[str, Change | None]:
    """Set the pull policy that the tags need."""
    own, now = values.own_value(path), values.value(path)
    component = "tap-schema" if path[0] == "cadc-tap" else path[0]
    if not all(tag.is_fixed for tag in after):
        if now == ALWAYS:
            return text, None
        if own is None:
            text = insert_scalar(text, path, ALWAYS, after="tag", place=place)
        else:
            text = set_scalar(text, path, ALWAYS, place=place)
        return text, Change(values.environment, component, PULL_POLICY, now, ALWAYS)
    # If no tag before was mutable, the policy was set on purpose.
    if own == ALWAYS and not all(tag.is_fixed for tag in before) and values.default(path) != ALWAYS:
        text = remove_scalar(text, path, place=place)
        return text, Change(values.environment, component, PULL_POLICY, ALWAYS, values.default(path))
    return text, None
