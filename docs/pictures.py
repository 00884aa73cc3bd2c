"""Draw docs/comment.png and docs/board.png: what people see of the example, in a headless Chromium.

``python docs/pictures.py`` writes both; ``--all FOLDER`` also draws each in the dark and as on a phone.
"""

from __future__ import annotations

import html
import sys
import tempfile
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from consdb_actions.report.board import render_html  # noqa: E402
from tests.support.board_scene import board  # noqa: E402
from tests.support.browser import Browser, find_browser  # noqa: E402

# Near enough to how GitHub shows a comment, in its two colours.
STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; padding: 16px; background: light-dark(#fff, #0d1117); color: light-dark(#1f2328, #f0f6fc);
  font: 14px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
main { border: 1px solid light-dark(#d1d9e0, #3d444d); border-radius: 6px; padding: 16px; }
h3 { font-size: 1.25em; margin: 0 0 12px; }
p, ul, table, details { margin: 0 0 12px; } ul { padding-left: 2em; }
a { color: light-dark(#0969da, #4493f8); } sub { font-size: 80%; vertical-align: baseline; }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto; }
h4 { margin: 0 0 8px; } th, td { border: 1px solid light-dark(#d1d9e0, #3d444d); padding: 6px 13px; }
code { background: light-dark(#eff1f3, #262c36); border-radius: 6px; padding: .1em .4em; font-size: 85%; }
"""


def comment_page() -> str:
    """Return the report of the demo, which README.md quotes, as a page."""
    quoted = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = quoted.partition("<!-- report: begin -->\n")[2].partition("<!-- report: end -->")[0]
    text = "\n".join(line.removeprefix(">").removeprefix(" ") for line in quoted.splitlines())
    body = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Comment</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def draw(page: str, target: Path, width: int, height: int, *, dark: bool = False) -> None:
    """Draw a page; a window of Chromium is never narrower than 500 pixels, so a frame is."""
    program = find_browser()
    if program is None:
        sys.exit("There is no Chromium on this machine; install the package chromium.")
    ground = "#0d1117" if dark else "#fff"
    frame = (
        f'<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f'<body style="margin: 0; background: {ground}"><iframe style="border: 0; width: {width}px; '
        f'height: {height}px" srcdoc="{html.escape(page)}"></iframe>'
    )
    with tempfile.TemporaryDirectory(prefix="consdb-actions-pictures-") as name:
        source = Path(name) / "page.html"
        source.write_text(frame, encoding="utf-8")
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        size = f"--window-size={max(width, 500)},{height}"
        options = (f"--screenshot={target}", size, scheme, "--hide-scrollbars")
        Browser(program, Path(name)).run(source.as_uri(), *options)


def main() -> None:
    """Draw what the command line asks for."""
    pages = {"comment": (comment_page(), 760, 790), "board": (render_html(board()), 1180, 900)}
    for name, (page, width, height) in pages.items():
        draw(page, ROOT / "docs" / f"{name}.png", width, height)
        if "--all" in sys.argv:
            folder = Path(sys.argv[sys.argv.index("--all") + 1])
            draw(page, folder / f"{name}-dark.png", width, height, dark=True)
            draw(page, folder / f"{name}-phone.png", 390, 1400)


if __name__ == "__main__":
    main()
