"""The measurements as one SVG: how many times longer others take, and how time grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH = 720
ROW = 30
CHART = 260
COLOURS = ("#0b6e8a", "#c2410c", "#4d7c0f", "#7e22ce", "#a16207")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2937}.small{font-size:11px;fill:#6b7280}"
    "rect.paper{fill:#fff}line{stroke:#d1d5db}"
    "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.small{fill:#9ca3af}rect.paper{fill:#111827}"
    "line{stroke:#374151}}"
)


def draw(result: Mapping[str, Any]) -> str:
    """Return the SVG."""
    bars = [(row, name, seconds) for row in result["rows"] for name, seconds in row["others"].items()]
    top = 40 + ROW * len(bars)
    growth = result["growth"]
    height = top + (CHART + 60 if growth else 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>Ratios and growth</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        '<text x="12" y="22">Seconds of others for one second of ours</text>',
        *_bars(bars),
        *(_lines(growth, top) if growth else ()),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _bars(bars: Sequence[tuple[Mapping[str, Any], str, float]]) -> list[str]:
    longest = max((seconds / row["ours"] for row, _, seconds in bars), default=1.0)
    out = []
    for number, (row, name, seconds) in enumerate(bars):
        ratio = seconds / row["ours"]
        y = 36 + ROW * number
        label = escape(f"{row['name']}: {name}")
        out.append(f'<text x="12" y="{y + 15}">{label}</text>')
        width = max(2.0, 300 * ratio / longest)
        out.append(f'<rect x="350" y="{y + 3}" width="{width:.1f}" height="16" fill="{COLOURS[0]}"/>')
        out.append(f'<text x="{356 + width:.1f}" y="{y + 15}">{ratio:.2f}</text>')
    return out


def _lines(growth: Sequence[Mapping[str, Any]], top: int) -> list[str]:
    """Draw time against size, both logarithmic and relative to the smallest size."""
    left, right, bottom = 60, WIDTH - 200, top + CHART + 20
    most_x = max(math.log2(g["sizes"][-1] / g["sizes"][0]) for g in growth)
    most_y = max(1.0, *(math.log2(max(g["seconds"]) / g["seconds"][0]) for g in growth))
    scale = min((right - left) / most_x, (CHART - 20) / max(most_y, most_x))
    end, peak = round(left + scale * most_x), round(bottom - scale * most_x)
    out = [
        f'<text x="12" y="{top + 14}">Time by size, both relative to the smallest (logarithmic)</text>',
        f'<line x1="{left}" y1="{bottom}" x2="{end}" y2="{bottom}"/>',
        f'<line x1="{left}" y1="{bottom}" x2="{left}" y2="{peak}"/>',
        f'<line x1="{left}" y1="{bottom}" x2="{end}" y2="{peak}" stroke-dasharray="4 4"/>',
        f'<text class="small" x="{end + 6}" y="{peak + 4}">linear</text>',
    ]
    for number, g in enumerate(growth):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{left + scale * math.log2(size / g['sizes'][0]):.1f},"
            f"{bottom - scale * math.log2(max(seconds / g['seconds'][0], 1.0)):.1f}"
            for size, seconds in zip(g["sizes"], g["seconds"], strict=True)
        )
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = top + 40 + 22 * number
        out.append(f'<rect x="{end + 70}" y="{y - 9}" width="12" height="4" fill="{colour}"/>')
        label = escape(f"{g['name']} {g['sizes'][0]}-{g['sizes'][-1]}")
        out.append(f'<text class="small" x="{end + 88}" y="{y}">{label}: exponent {g["exponent"]:.2f}</text>')
    return out
