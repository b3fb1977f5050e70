"""What leaves the host, seen in the browser; the last day in plots; and what is wrong."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignedIn, faults_of, picture
from tests.integration.onair import show
from tests.rig.prometheus import prometheus
from tests.rig.station import Station

ALERT = {
    "alert": "TracksUnmapped",
    "expr": 'radio_onair_up{station="demo"} == 1',
    "labels": {"severity": "warning"},
    "annotations": {"summary": "Songs without a loop", "description": "Map them.", "runbook": "docs/A.md#b"},
}
COLOUR = """canvas => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const sum = [0, 0, 0, 0];
  for (let n = 0; n < pixels.length; n++) sum[n % 4] += pixels[n];
  return [canvas.width, ...sum.map((one) => Math.round(one / (pixels.length / 4)))];
}"""


def a_day() -> str:
    """What the recording rules have made of a day with an outage of ten minutes, a value each minute."""
    now = int(time.time())
    days: dict[str, list[str]] = {}
    for n in range(24 * 60 - 5):
        at, hour = now - 86400 + n * 60, n / 60
        up = 0 if 500 <= n < 510 else 1
        values = {
            "station:on_air:bool": up,
            "station:bitrate_bps:sum": up * (3_190_000 + 40_000 * math.sin(n / 7)),
            "station:loudness_lufs:avg1m": -16 - 3 * math.sin(hour / 3) - math.sin(n / 3),
            "station:cpu_percent:sum": 2.5 + math.sin(hour / 2) ** 2 + up,
            "station:switches:increase5m": up * (1 + math.sin(hour) ** 2),
        }
        for name, value in values.items():
            days.setdefault(name, []).append(f'{name}{{host="radio1",station="demo"}} {value:.5g} {at}\n')
    return "".join("".join([f"# TYPE {name} gauge\n", *lines]) for name, lines in days.items()) + "# EOF\n"


@pytest.fixture
def watched(station: Station, prometheus_port: int, tmp_path: Path) -> Iterator[str]:
    with prometheus(tmp_path / "prometheus", prometheus_port, station.address("web"), [ALERT], a_day()) as address:
        yield address


def colour(page: Page) -> tuple[int, ...]:
    """Width of the still, then its red, green, blue and opacity."""
    return tuple(page.get_by_role("img", name="The picture on the air").evaluate(COLOUR))


def test_the_picture_on_the_air_is_there_and_changes_with_it(signed_in: SignedIn, station: Station) -> None:
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    page = signed_in("viewer")
    expect(page.get_by_role("img", name="The picture on the air: coral.mp4")).to_be_visible()
    # It fades in: its first keyframe is black.
    page.wait_for_function(
        f"() => Math.max(...({COLOUR})(document.querySelector('#preview canvas')).slice(1, 4)) > 40"
    )
    width, *coral = colour(page)
    assert (width, coral[3]) == (1280, 255)
    show(station, "lagoon.mp4")
    page.wait_for_function(
        f"""() => {{
          const [, red, green, blue] = ({COLOUR})(document.querySelector('#preview canvas'));
          return Math.abs(red - {coral[0]}) + Math.abs(green - {coral[1]}) + Math.abs(blue - {coral[2]}) > 60;
        }}"""
    )
    assert faults_of(page) == []


def test_the_stream_plays(signed_in: SignedIn, station: Station) -> None:
    page = signed_in("viewer")
    page.get_by_role("button", name="Watch and listen").click()
    stream = page.get_by_label("The stream on the air")
    expect(stream).to_be_visible()
    frames = "document.querySelector('#preview video').getVideoPlaybackQuality().totalVideoFrames"
    page.wait_for_function(f"() => {frames} > 90", timeout=20_000)
    played = stream.evaluate(
        "video => [video.videoWidth, video.muted, video.error, video.webkitAudioDecodedByteCount > 0]"
    )
    assert played == [1280, False, None, True]
    before = stream.evaluate("video => video.currentTime")
    page.wait_for_function(f"() => document.querySelector('#preview video').currentTime > {before + 4}")
    assert stream.evaluate("video => video.buffered.length") == 1, "what is buffered has a gap"
    assert faults_of(page) == []
    page.get_by_role("heading", name="What leaves the host").scroll_into_view_if_needed()
    picture(page, "watching")
    page.get_by_role("button", name="Stop watching").click()
    expect(stream).to_be_hidden()


def test_without_prometheus_it_says_so(signed_in: SignedIn) -> None:
    page = signed_in("viewer")
    expect(page.get_by_role("region", name="The last day")).to_contain_text("Prometheus")
    expect(page.get_by_role("region", name="Alerts")).to_contain_text("Prometheus")


def test_the_last_day_and_what_is_wrong(signed_in: SignedIn, station: Station, watched: str) -> None:
    page = signed_in("viewer", viewport={"width": 1280, "height": 1400})
    alerts = page.get_by_role("region", name="Alerts")
    expect(alerts).to_contain_text("Songs without a loop", timeout=40_000)
    expect(alerts).to_contain_text("warning")
    uptime = page.get_by_role("img", name="Uptime")
    expect(uptime).to_be_visible(timeout=40_000)
    for name in ("Bitrate", "Loudness", "CPU", "Switches"):
        expect(page.get_by_role("figure").filter(has_text=name)).to_be_visible()
    # Ten minutes of a day.
    expect(page.get_by_role("figure").filter(has_text="Uptime")).to_contain_text(
        re.compile(r"99\.3\d? % of the time on the air")
    )
    expect(page.get_by_role("figure").filter(has_text="Bitrate")).to_contain_text("Mb/s on average")
    page.get_by_role("heading", name="The last day").scroll_into_view_if_needed()
    picture(page, "plots")
    figure = page.get_by_role("figure").filter(has_text="Uptime")
    figure.get_by_text("As a table").click()
    expect(figure.get_by_role("row")).to_have_count(25)
    assert faults_of(page) == []
