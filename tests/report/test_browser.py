"""The page in a real browser: it draws, listens to keys, runs nothing of a guest's and asks nobody
for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from khs import report
from khs.trace import Reader, Writer

from .browser import Browser
from .conftest import hostile_header, hostile_records

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The report of a hostile run."""
    folder = tmp_path_factory.mktemp("report")
    with Writer(folder / "run.trace", hostile_header()) as writer:
        writer(b"".join(hostile_records()))
    with Reader(folder / "run.trace") as reader:
        report.write(reader, folder / "run.html")
    with Browser(str(CHROMIUM), folder / "run.html") as browser:
        yield browser


def shown(browser: Browser) -> tuple[int, int]:
    first, last = browser.evaluate("document.querySelector('canvas').dataset.shown").split()
    return int(first), int(last)


def test_it_runs_its_own_script_alone(browser: Browser) -> None:
    assert browser.evaluate("document.getElementById('with-script').hidden") is False
    assert browser.evaluate("document.getElementById('no-script').hidden") is True
    assert browser.evaluate("typeof hacked") == "undefined"
    assert (
        browser.evaluate("document.querySelectorAll('main img, main script, iframe').length") == 0
    )
    assert [url for url in browser.asked if not url.startswith("file:")] == []
    assert len(browser.asked) == 1 and browser.logged == []


def test_injected_script_is_forbidden(browser: Browser) -> None:
    """Even if something slipped through: the page's own policy stops it."""
    browser.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
        " document.body.append(s); const i = new Image(); i.src = 'http://127.0.0.1:9/x'; })()"
    )
    assert browser.evaluate("typeof hacked") == "undefined"
    assert any("Content Security Policy" in line for line in browser.logged)
    browser.logged.clear()


def test_keys_zoom_pan_and_step_through_events(browser: Browser) -> None:
    browser.evaluate("document.querySelector('canvas').focus()")
    browser.key("0")
    whole = shown(browser)
    assert whole[0] == 0
    browser.key("+")
    first, last = shown(browser)
    assert abs((last - first) - whole[1] / 2) <= 1
    browser.key("ArrowRight")
    assert shown(browser)[0] > first
    browser.key("0")
    browser.key("n")
    told = browser.evaluate("document.getElementById('told').textContent")
    assert told.startswith("2.000 ms, ") and "denied (1 of" in told and "no rule matches" in told
    browser.key("n")
    assert "fault (2 of" in browser.evaluate("document.getElementById('told').textContent")


def test_a_click_says_what_is_there(browser: Browser) -> None:
    browser.key("0")
    box = browser.evaluate(
        "(() => { const b = document.querySelector('canvas').getBoundingClientRect();"
        " return [b.left, b.top, b.width] })()"
    )
    left, top, width = box
    end = shown(browser)[1]
    at = left + 1 + 120 + 1_500_000 / end * (width - 122)
    browser.click(at, top + 28 + 17)
    told = browser.evaluate("document.getElementById('told').textContent")
    assert "khs_port_send, OK, entered at 1.500 ms, takes 0.00128 ms" in told


def test_links_lead_into_the_timeline(browser: Browser) -> None:
    browser.evaluate("location.hash = '#t=5-15'")
    browser.settle()
    assert shown(browser) == (5_000_000, 15_000_000)
    browser.evaluate("document.querySelector('#denials a').click()")
    browser.settle()
    assert "denied" in browser.evaluate("document.getElementById('told').textContent")


def colours(browser: Browser) -> set[tuple[int, ...]]:
    """Colours on the drawing."""
    pixels = browser.evaluate(
        "(() => { const c = document.querySelector('canvas'), seen = new Set();"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " for (let i = 0; i < d.length; i += 4) if (d[i+3] === 255) seen.add([d[i],d[i+1],d[i+2]].join());"
        " return [...seen] })()"
    )
    return {tuple(map(int, pixel.split(","))) for pixel in pixels}


def test_it_is_drawn_in_light_and_dark(browser: Browser) -> None:
    browser.evaluate("location.hash = '#t=0-40'")
    for theme, window, denied in (
        ("light", (0xC3, 0xD9, 0xF5), (0xC0, 0x1C, 0x28)),
        ("dark", (0x2C, 0x4A, 0x70), (0xFF, 0x7B, 0x7B)),
    ):
        browser.theme(theme)
        browser.settle()
        assert {window, denied} <= colours(browser), theme
        picture = browser.screenshot()
        assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


def test_a_narrow_view_does_not_scroll_sideways(browser: Browser) -> None:
    browser.send(
        "Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False
    )  # fmt: skip
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    browser.send("Emulation.clearDeviceMetricsOverride")
