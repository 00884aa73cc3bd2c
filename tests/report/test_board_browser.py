"""The board in a real browser: nothing overflows, everything stands out, nothing is fetched, nothing runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from consdb_actions.adapters import shell
from consdb_actions.report.board import render_html
from tests.support.board_scene import board
from tests.support.browser import Browser, find_browser, listening_proxy

pytestmark = pytest.mark.slow

WIDTHS = (320, 390, 780, 1280)

OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll("main *, header *, footer *")].filter(
    item => !item.closest(".scroll table, .spoken, .skip, .cards thead")
      && item.getBoundingClientRect().right > width + 0.5);
  const page = document.documentElement.scrollWidth;
  return {width, page, wide: wide.map(item => item.outerHTML.slice(0, 200))};
}"""

OPENED = OVERFLOW.replace(
    "() => {", '() => { document.querySelectorAll("details").forEach(item => { item.open = true; });', 1
)

CONTRAST = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = numbers(colour).map(c => c / 255).map(
      c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = item => {
    for (let at = item; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const alpha = numbers(colour)[3];
      if (alpha === undefined || alpha === 1) return colour;
      if (alpha !== 0) throw new Error("half transparent: " + at.outerHTML.slice(0, 100));
    }
    throw new Error("no ground");
  };
  document.querySelectorAll("details").forEach(item => { item.open = true; });
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const item = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || item.closest("script") || !item.getClientRects().length) continue;
    const [ink, paper] = [getComputedStyle(item).color, ground(item)];
    const [low, high] = [light(ink), light(paper)].sort((a, b) => a - b);
    found[ink + " on " + paper] = (high + 0.05) / (low + 0.05);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(board())


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium on this machine; apt-get install chromium")
    return Browser(program, tmp_path)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("script", [OVERFLOW, OPENED], ids=["folded", "unfolded"])
def test_nothing_is_wider_than_the_screen(browser: Browser, page: str, width: int, script: str) -> None:
    found = browser.probe(page, script, width=width)
    assert found == {"width": width, "page": width, "wide": []}


def test_the_probe_would_see_what_is_too_wide(browser: Browser, page: str) -> None:
    broken = page.replace("<h1>", '<h1 style="width: 700px">')
    found = browser.probe(broken, OVERFLOW, width=390)
    assert found["page"] > 390
    assert [item[:3] for item in found["wide"]] == ["<h1"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, page: str, width: int, dark: bool
) -> None:
    found = browser.probe(page, CONTRAST, width=width, dark=dark)
    assert len(found) >= 10
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
    grounds = {pair.partition(" on ")[2] for pair in found}
    assert ("rgb(29, 33, 37)" in grounds) is dark
    assert ("rgb(255, 255, 255)" in grounds) is not dark


def test_s5_the_page_asks_the_network_for_nothing(browser: Browser, page: str) -> None:
    with listening_proxy(page) as (proxy, asked):
        options = (f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>", "--dump-dom")
        shown = browser.run("http://pages.example/board/", *options)
    assert "ConsDB schema changes" in shown
    assert "http://pages.example/board/" in asked
    # Of itself, Chromium asks its maker for the time and for updates, and the page's host for an icon.
    assert "google" not in page
    rest = {item for item in asked if "google" not in item}
    assert rest <= {"http://pages.example/board/", "http://pages.example/favicon.ico"}


def test_the_proxy_would_see_what_a_page_fetches(browser: Browser, page: str) -> None:
    leaky = "<!DOCTYPE html><title>x</title><img src='http://elsewhere.example/x.png'>"
    with listening_proxy(leaky) as (proxy, asked):
        options = (f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>", "--dump-dom")
        browser.run("http://pages.example/board/", *options)
    assert "http://elsewhere.example/x.png" in asked


def test_s5_a_script_that_got_into_the_page_would_not_run(browser: Browser, page: str) -> None:
    script = "<script>document.title = 'it ran'</script></body>"
    assert "<title>it ran</title>" not in browser.dump(page.replace("</body>", script))
    assert browser.probe(page, "() => 'it ran'") == "it ran", "without the policy it does"


def test_it_prints(browser: Browser, page: str, tmp_path: Path) -> None:
    data = browser.print(page)
    assert data.startswith(b"%PDF-")
    if shutil.which("pdftotext") is None:
        pytest.skip(
            "there is no pdftotext on this machine to read what was printed; apt-get install poppler-utils"
        )
    path = tmp_path / "read.pdf"
    path.write_bytes(data)
    text = " ".join(shell.run(["pdftotext", "-layout", path, "-"]).stdout.split())
    assert "ConsDB schema changes" in text
    assert "makes ccdvisit1_quicklook.column_8 a varchar(64)" in text, "what is folded is unfolded on paper"
    assert "Evidence" not in text, "but the steps only where the reader unfolded them"
    assert "tickets-OSW-1617-guider-roi" in text
    assert "w.2026.10" in text
