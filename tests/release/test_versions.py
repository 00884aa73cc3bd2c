"""Calendar versions (rule R1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.release.versions import newest, next_version, parse_version

CHILE_WINTER = timezone(timedelta(hours=-4))
CHILE_SUMMER = timezone(timedelta(hours=-3))
OTHERS = ["26.6.2-rc1", "v26.6.9", "26.6", "w.2026.24", "26.13.1", "26.0.1", "26.6.2.1", "126.6.2", "6.6.2"]
LEGACY = ["1.0.0", "1.1.0", "2.0.0", "2.0.4", "3.0.0"]


def at(*parts: int, zone: timezone = UTC) -> datetime:
    return datetime(*parts, tzinfo=zone)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("tags", "now", "version"),
    [
        pytest.param([], at(2024, 10, 7), "24.10.1", id="the first ever"),
        pytest.param(LEGACY, at(2024, 10, 7), "24.10.1", id="legacy tags do not count"),
        pytest.param(["26.6.1", "26.6.2"], at(2026, 6, 20), "26.6.3", id="the next of the month"),
        pytest.param(["26.6.2"], at(2026, 7, 1), "26.7.1", id="the first of a month"),
        pytest.param(["25.8.2"], at(2025, 10, 13), "25.10.1", id="a month without a release"),
        pytest.param(["25.12.3"], at(2026, 1, 1), "26.1.1", id="December to January"),
        pytest.param(["25.12.3"], at(2025, 12, 31, 23, 59, 59), "25.12.4", id="the last second of a year"),
        pytest.param(["26.6.9", "26.6.10"], at(2026, 6, 20), "26.6.11", id="in the order of numbers"),
        pytest.param(["26.06.1", "26.6.2"], at(2026, 6, 20), "26.6.3", id="padded and unpadded mixed"),
        pytest.param(["26.6.1", "26.06.2"], at(2026, 6, 20), "26.6.3", id="the padded one is newer"),
        pytest.param(["26.6.2", *OTHERS], at(2026, 6, 20), "26.6.3", id="tags that are no versions"),
        pytest.param(
            ["26.6.2"], at(2026, 6, 30, 23, 30, zone=CHILE_WINTER), "26.7.1", id="23:30 in Chile on the last"
        ),
        pytest.param(
            ["25.12.1"],
            at(2025, 12, 31, 23, 30, zone=CHILE_SUMMER),
            "26.1.1",
            id="23:30 in Chile on New Year's Eve",
        ),
        pytest.param(
            ["26.6.2"],
            at(2026, 7, 1, 5, 0, zone=timezone(timedelta(hours=9))),
            "26.6.3",
            id="the morning of the first in Japan is still June",
        ),
    ],
)
def test_r1_the_next_version(tags: list[str], now: datetime, version: str) -> None:
    found = next_version(tags, now)
    assert str(found.version) == version
    assert now.astimezone(UTC).strftime("%Y-%m-%d %H:%M") in found.reason


def test_r1_padding_is_an_option_and_says_nothing_about_the_order() -> None:
    assert str(next_version(["26.6.2"], at(2026, 6, 20), padded=True).version) == "26.06.3"
    assert str(next_version(["26.06.2"], at(2026, 6, 20), padded=False).version) == "26.6.3"
    assert str(next_version(["26.9.2"], at(2026, 10, 1), padded=True).version) == "26.10.1"


@pytest.mark.parametrize(
    "now",
    [at(2026, 5, 31, 23, 59), at(2025, 12, 1), at(2026, 6, 1, 0, 30, zone=timezone(timedelta(hours=2)))],
)
def test_r1_an_earlier_month_than_the_newest_tag_is_refused(now: datetime) -> None:
    with pytest.raises(CheckFailed, match=r"the newest tag, 26\.6\.2, is of June 2026") as caught:
        next_version(["26.6.2", "26.5.1"], now)
    assert caught.value.remedy


@pytest.mark.parametrize("year", [1999, 2100])
def test_r1_a_year_that_two_digits_cannot_say(year: int) -> None:
    with pytest.raises(InputError, match=str(year)):
        next_version([], at(year, 6, 1))


@pytest.mark.parametrize(
    "tag",
    [*LEGACY, *OTHERS, "26.6.x", "26.6.2\n", " 26.6.2", "26.6.-1", "٢٦.6.2", "26.6.1234567"],
)
def test_r1_tags_that_are_no_calendar_versions(tag: str) -> None:
    assert parse_version(tag) is None


VERSIONS = st.tuples(st.integers(0, 99), st.integers(1, 12), st.integers(0, 300), st.booleans())


def written(version: tuple[int, int, int, bool]) -> str:
    year, month, number, padded = version
    return f"{year:02}.{month:02}.{number}" if padded else f"{year:02}.{month}.{number}"


@given(VERSIONS, VERSIONS)
def test_r1_versions_are_in_the_order_of_their_numbers(
    one: tuple[int, int, int, bool], other: tuple[int, int, int, bool]
) -> None:
    left, right = parse_version(written(one)), parse_version(written(other))
    assert left is not None
    assert right is not None
    assert (left < right) == (one[:3] < other[:3])
    assert (left == right) == (one[:3] == other[:3])
    assert str(left) == written(one)


@given(
    st.lists(VERSIONS, max_size=12),
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_r1_the_next_version_is_new_and_the_highest(
    tags: list[tuple[int, int, int, bool]],
    moment: datetime,
    minutes: int,
    padded: bool,
    random: object,
) -> None:
    names = [*map(written, tags), *LEGACY, "nightly"]
    now = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    last = newest(names)
    if last is not None and (last.year, last.month) > (moment.year, moment.month):
        with pytest.raises(CheckFailed):
            next_version(names, now, padded=padded)
        return
    found = next_version(names, now, padded=padded)
    assert (found.version.year, found.version.month) == (moment.year, moment.month)
    assert all(other < found.version for name in names if (other := parse_version(name)))
    assert parse_version(str(found.version)) == found.version
    assert len(str(found.version).split(".")[1]) == (2 if padded or moment.month > 9 else 1)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert next_version(names, now, padded=padded) == found
    assert next_version([*names, str(found.version)], now).version.number == found.version.number + 1
