"""Find unfinished stages before the one to deploy (rule R6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from consdb_actions.deploy.components import Values, short_names, slots
from consdb_actions.deploy.policy import DeployPolicy, Stage
from consdb_actions.deploy.tags import Tag, read_tag

__all__ = ["Waiting", "waiting_before", "waiting_words"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An environment of an earlier stage without the tag or a later one."""

    stage: str
    environment: str
    tags: Mapping[str, str]  # present tags by component

    @property
    def words(self) -> str:
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
    tag: Tag,
    values: Mapping[str, Values],
) -> tuple[Waiting, ...]:
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
            waiting.append(Waiting(earlier.name, name, behind))
        unfinished = [item for item in waiting if item.tags]
        if not (earlier.any_of and len(unfinished) < len(waiting)):
            found += unfinished
    return tuple(found)


def waiting_words(waiting: Iterable[Waiting]) -> str:
    """Name unfinished environments, such as ``base and summit have pq 26.5.1``."""
    by_words: dict[str, list[str]] = {}
    for item in waiting:
        by_words.setdefault(item.words, []).append(item.environment)
    words = []
    for what, names in by_words.items():
        who = f"{', '.join(names[:-1])} and {names[-1]} have" if len(names) > 1 else f"{names[0]} has"
        words.append(f"{who} {what}")
    return "; ".join(words)
