"""A real browser for pages: layout, rendering, and network requests."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from consdb_actions.adapters import shell
from tests.support.http import Double
from tests.support.http import Handler as QuietHandler

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    *("--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    *("--disable-extensions", "--disable-client-side-phishing-detection", "--metrics-recording-only"),
    *("--virtual-time-budget=3000",),
)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def find_browser() -> str | None:
    """Return a Chromium of this machine, if any."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


class Browser:
    """Starts a headless Chromium for each question; `folder` is empty and its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def run(self, address: str, *options: str) -> str:
        """Open a URL and return the output."""
        # Its own sandbox does not work as root, and the page is ours.
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        profile = f"--user-data-dir={self._folder / 'profile'}"
        command = [self._program, *QUIET, *sandbox, profile, *options, address]
        return shell.run(command, timeout=180).stdout

    def probe(self, page: str, script: str, *, width: int = 1280, dark: bool = False) -> Any:
        """Lay out a page and return the JSON result of a function.

        The page's own policy forbids scripts; it is removed from this copy. The copy is laid out in a frame,
        because a window of Chromium is never narrower than 500 pixels.
        """
        tell = f"<script>parent.document.title = JSON.stringify(({script})());</script></body>"
        copy = html.escape(_POLICY.sub("", page).replace("</body>", tell))
        frame = (
            '<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
            f'<iframe style="border: 0; width: {width}px; height: 1500px" srcdoc="{copy}"></iframe>'
        )
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        dumped = self.dump(frame, "--window-size=1400,2000", scheme)
        match = re.search(r"<title>(.*?)</title>", dumped, re.DOTALL)
        assert match is not None, dumped[:500]
        return json.loads(html.unescape(match[1]))

    def dump(self, page: str, *options: str) -> str:
        """Open a page unchanged and return its DOM."""
        return self.run(self._write(page), "--dump-dom", *options)

    def print(self, page: str) -> bytes:
        target = self._folder / "page.pdf"
        self.run(self._write(page), f"--print-to-pdf={target}", "--no-pdf-header-footer")
        return target.read_bytes()

    def _write(self, page: str) -> str:
        path = self._folder / "page.html"
        path.write_text(page, encoding="utf-8")
        return path.as_uri()


@contextmanager
def listening_proxy(page: str) -> Iterator[tuple[str, list[str]]]:
    """Run a proxy with one page behind it; yield its address and the requests."""
    asked: list[str] = []

    class Handler(QuietHandler):
        def serve(self) -> None:
            asked.append(self.path)
            if self.command == "CONNECT":
                self.send_error(403)
                return
            found = self.path.endswith("/board/")
            content = {"Content-Type": "text/html; charset=utf-8"}
            self.send(200 if found else 404, content, page.encode() if found else b"")

    with Double(Handler) as double:
        yield double.url, asked
