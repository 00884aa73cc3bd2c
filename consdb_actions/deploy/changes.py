"""What a deployment changes in one values file."""

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
    """One value that changes.

    Attributes
    ----------
    environment, component
        Where, and of what; a pull policy is one of the component's (``hinfo`` for all instruments').
    what
        ``tag``, ``datalink`` or ``pull policy``.
    old, new
        The tag, or the policy. Empty where there was none, or where the default holds again.
    enabled
        Whether the component runs.
    """

    environment: str
    component: str
    what: str
    old: str
    new: str
    enabled: bool = True

    @property
    def is_tag(self) -> bool:
        """Whether the tag of an image changes."""
        return self.what == "tag"

    @property
    def goes_back(self) -> bool:
        """Whether an older tag replaces a newer one."""
        return read_tag(self.new).is_older_than(read_tag(self.old))


def edited(
    app: str, values: Values, wanted: Sequence[Slot], tag: Tag, sdm_schemas: str
) -> tuple[str, list[Change]]:
    """Write a tag into a values file.

    A tag that can move needs the pull policy Always, else a node goes on with the image that it has. The line
    is taken out again when a release replaces the tag, and what the chart says holds as before.
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
        # Components that share a policy share it with those that are not meant as well.
        sharing = [slot for slot in slots(app, values) if slot.pull_policy == path]
        before = [read_tag(values.tag(slot)) for slot in sharing]
        after = [tag if slot in wanted else old for slot, old in zip(sharing, before, strict=True)]
        text, change = _policy(text, values, path, before, after, place)
        changes += [change] if change else []
    return text, changes


def _policy(
    text: str, values: Values, path: Path, before: list[Tag], after: list[Tag], place: str
) -> tuple[str, Change | None]:
    """Set the pull policy that tags need."""
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
    # Without a tag that can move before, somebody wants it so.
    if own == ALWAYS and not all(tag.is_fixed for tag in before) and values.default(path) != ALWAYS:
        text = remove_scalar(text, path, place=place)
        return text, Change(values.environment, component, PULL_POLICY, ALWAYS, values.default(path))
    return text, None
