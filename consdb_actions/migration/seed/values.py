"""Values for columns: distinct, awkward, and such that they survive every type that a column will have."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from consdb_actions.migration.kinds import NUMBERS, Kind
from consdb_actions.migration.seed.checks import Limits

__all__ = ["Domain"]

_AWKWARD = (
    'O\'Brien said "no"',
    "back\\slash \\N \\. \\x41",
    "100 % of %s and %(name)s",
    ":name ::text :1",
    "$1 $$ ${x} $tag$",
    "two\nlines\r\nand a\ttab",
    "Größe Ωμέγα 日本語 🔭",
    '"""; DROP TABLE x; --',
    " leading, {braces}, and/or <tags>&amp;",
)
_SHORT = "aZ'\"\\%:$é0_Ω-\n;{}<>/[]()=+*?!.,|~^@#&`"
_LONG = "very long text: " + "0123456789 äöü " * 400
_QUOTED_IN_ARRAYS = re.compile(r'[{},"\\\s]')
_EPOCH = datetime(2024, 1, 1)


@dataclass(frozen=True)
class Domain:
    """The values that a column may hold.

    Attributes
    ----------
    kind
        The column's own type.
    family
        What kind of values to make: the column's own, or those of the type that it will have.
    low, high
        Bounds of numbers, both included.
    scale
        Most digits after the point; None for binary fractions.
    single
        Whether numbers must survive single precision.
    length
        Most characters of a text.
    precision
        Digits of fractions of a second.
    plain
        Without extremes: the column is a key, numbers itself, or changes its type.
    limits
        What CHECK constraints ask.
    """

    kind: Kind
    family: str
    low: Decimal | None = None
    high: Decimal | None = None
    scale: int | None = None
    single: bool = False
    length: int | None = None
    precision: int = 6
    plain: bool = False
    limits: Limits | None = None

    def value(self, label: str, index: int) -> str:
        """Return a value as text.

        Parameters
        ----------
        label
            Values of different labels differ, where the type has room.
        index
            Values of different indexes differ, where the type has room.
        """
        limits = self.limits
        if limits is not None and limits.choices:
            return limits.choices[index % len(limits.choices)]
        mark = zlib.crc32(label.encode())
        found = self._value(mark, index)
        if limits is not None:
            for step in range(1, 20):
                if found not in limits.excluded:
                    break
                found = self._value(mark, index + 1000 * step)
        if self.kind.dimensions:
            if not found or _QUOTED_IN_ARRAYS.search(found):
                found = '"' + found.replace("\\", "\\\\").replace('"', '\\"') + '"'
            return "{" * self.kind.dimensions + found + "}" * self.kind.dimensions
        return found

    def _value(self, mark: int, index: int) -> str:
        if self.family == "text":
            return self._text(mark, index)
        if self.family in NUMBERS:
            return self._number(mark, index)
        if self.family == "boolean":
            flag = (index + mark) % 2 == 0
            if self.kind.family in NUMBERS:
                return str(int(flag))
            return ("true" if flag else "false")[: 1 if self.length is not None and self.length < 5 else 5]
        if self.family in {"timestamp", "date", "time"}:
            return self._moment(mark, index)
        number = mark % 100000 + index * 100003
        if self.family == "interval":
            return f"{number % 400} days {number % 24:02}:{number % 60:02}:00.{number % 1000000:06}"
        if self.family == "bytea":
            return "\\x" + f"00ff275c{number:08x}"
        if self.family == "uuid":
            return f"{mark:08x}-0000-4000-8000-{index:012x}"
        if self.family == "json":
            # One member: jsonb keeps neither order nor spaces.
            return f'{{"it\'s \\"{number}\\" %": null}}'
        if self.family == "inet":
            return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"
        # pgSphere normalises what it reads; degrees that are whole numbers stay the same polygon.
        size = 1 + index % 60
        return f"{{({mark % 200}d,0d),({mark % 200 + size}d,0d),({mark % 200 + size}d,{size}d)}}"

    def _text(self, mark: int, index: int) -> str:
        longest = self.length
        shortest = 0
        if self.limits is not None:
            shortest = self.limits.shortest
            if self.limits.longest is not None:
                longest = self.limits.longest if longest is None else min(longest, self.limits.longest)
        slot = (index + mark) % (len(_AWKWARD) + 2)
        end = f"{mark % 46656:x}.{index}"
        if longest == 1:
            return _SHORT[(index + mark) % len(_SHORT)]
        if longest is not None and longest < len(end) + 1:
            end = str(index)
            if longest < len(end):
                return ""
        if slot == len(_AWKWARD) and not self.plain and not shortest:
            return ""
        start = _LONG if slot > len(_AWKWARD) else _AWKWARD[slot % len(_AWKWARD)]
        if self.plain:
            start = start[:200]
        if longest is not None:
            start = start[: longest - len(end)]
        return (start + end).ljust(shortest, "x")

    def _number(self, mark: int, index: int) -> str:
        low, high = self._bounds()
        if self.scale == 0:
            return str(self._whole(mark, index, low, high))
        if self.scale is not None or self.single or low is not None or high is not None:
            return self._fraction(mark, index, low, high)
        if not self.plain:
            single = self.kind.name == "real"
            extremes = (
                "NaN",
                "-Infinity",
                "-0",
                "1.234568e+37" if single else "-1.2345678901234567e+300",
                "1.1754944e-38" if single else "2.2250738585072014e-308",
            )
            slot = (index + mark) % 16
            if slot < len(extremes):
                return extremes[slot]
        if self.kind.name == "real":
            # Eighths below 10**5 print in full.
            value = (mark % 160001 - 80000 + index * 1009) / 8
        else:
            value = (mark % 1000003 - 500000 + index * 1000003) / 7
        return repr(value).removesuffix(".0")

    def _bounds(self) -> tuple[Decimal | None, Decimal | None]:
        low, high = self.low, self.high
        if self.limits is not None:
            step = Decimal(1).scaleb(-(self.scale or 0)) if self.scale is not None else Decimal("0.125")
            asked = _number(self.limits.low)
            if asked is not None:
                asked += step if self.limits.low_open else 0
                low = asked if low is None else max(low, asked)
            asked = _number(self.limits.high)
            if asked is not None:
                asked -= step if self.limits.high_open else 0
                high = asked if high is None else min(high, asked)
        return low, high

    def _whole(self, mark: int, index: int, low: Decimal | None, high: Decimal | None) -> int:
        floor = -(2**62) if low is None else int(low.to_integral_value("ROUND_CEILING"))
        ceiling = 2**62 if high is None else int(high.to_integral_value("ROUND_FLOOR"))
        if not self.plain:
            slot = (index + mark) % 9
            if slot < 2:
                return (floor, ceiling)[slot]
        start = max(floor, min(0, ceiling))
        room = max(1, ceiling - start + 1)
        # Small enough that ConsDB-like arithmetic on keys stays in range.
        return start + (mark % 10000 + index) % min(room, 1_000_000)

    def _fraction(self, mark: int, index: int, low: Decimal | None, high: Decimal | None) -> str:
        floor = low if low is not None else (high - 10000 if high is not None else Decimal(-5000))
        ceiling = high if high is not None else floor + 10000
        floor, ceiling = max(floor, Decimal(-(10**6))) if low is None else floor, ceiling
        if ceiling - floor > 10000:
            floor = max(floor, Decimal(0)) if ceiling > 10000 else floor
            ceiling = min(ceiling, floor + 10000)
        # Eighths survive single precision and print alike everywhere.
        parts = Decimal(8) if self.scale is None else Decimal(10) ** min(self.scale, 6)
        steps = int((ceiling - floor) * parts)
        value = floor + Decimal((mark % 50000 + index * 7) % (steps + 1)) / parts
        if self.kind.name == "numeric" and self.kind.arguments:
            return f"{value:.{self.kind.arguments[1]}f}"
        return f"{value.normalize():f}"

    def _moment(self, mark: int, index: int) -> str:
        moment = _EPOCH + timedelta(days=mark % 300 + index, seconds=mark % 86400)
        if not self.plain and (self.limits is None or not (self.limits.low or self.limits.high)):
            slot = (index + mark) % 11
            if slot < 2:
                moment = (datetime(1858, 11, 17), datetime(9999, 12, 30, 23, 59, 58))[slot]
        elif self.limits is not None:
            moment = _within(moment, self.limits, index)
        fraction = (mark * 31 + index * 7919) % 1000000 if self.precision else 0
        digits = f"{fraction:06}"[: self.precision].rstrip("0")
        clock = moment.strftime("%H:%M:%S") + (f".{digits}" if digits else "")
        day = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
        zone = "+00" if self.kind.name.endswith("with time zone") else ""
        if self.family == "date":
            return f"{day} 00:00:00{zone}" if self.kind.family == "timestamp" else day
        return f"{clock}{zone}" if self.family == "time" else f"{day} {clock}{zone}"


def _within(moment: datetime, limits: Limits, index: int) -> datetime:
    """Move a moment between its bounds."""
    low, high = _moment(limits.low), _moment(limits.high)
    if low is not None and moment <= low:
        moment = low + timedelta(seconds=1 + index)
    if high is not None and moment >= high:
        moment = high - timedelta(seconds=1 + index)
    return moment


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _number(text: str | None) -> Decimal | None:
    try:
        found = None if text is None else Decimal(text)
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None
