"""The listener against a simulated AzuraCast: what it hands on, and what it says of itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hook_service.tracks.nowplaying import TrackEvent
from hook_service.web import azuracast as client
from hook_service.web import httpget, sse
from hook_service.web.azuracast import Listener
from tests.rig.azuracast import AzuraCast, Knobs, Track
from tests.rig.centrifugo import Channels, Inbox
from tests.rig.net import wait_until

A, B, C = Track("Ann", "One", loop="one.mp4"), Track("Bo", "Two"), Track("Cy", "Three/Drei ü")


class Heard:
    """What a listener offers."""

    def __init__(self) -> None:
        self.events: list[tuple[TrackEvent, float, str]] = []

    def __call__(self, event: TrackEvent, received: float, source: str) -> None:
        self.events.append((event, received, source))

    def titles(self, source: str | None = None) -> list[str]:
        """Without repetitions."""
        found: list[str] = []
        for event, _, way in self.events:
            if source in (None, way) and found[-1:] != [event.title]:
                found.append(event.title)
        return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"POLL_EVERY": 0.1, "POLL_LAST": 0.4, "RETRY_FIRST": 0.05, "RETRY_LAST": 0.2}.items():
        monkeypatch.setattr(client, name, seconds)


@pytest.fixture
def azuracast() -> Iterator[AzuraCast]:
    with AzuraCast(["rock", "jazz"], knobs=Knobs(delay=0.0, tick=0.2, cache=0.05, ping=1)) as server:
        yield server


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def listener(azuracast: AzuraCast, heard: Heard) -> Iterator[Listener]:
    one = Listener("demo", azuracast.url, "rock", None, heard)
    one.start()
    yield one
    one.stop()


def until(condition: Any, what: str) -> None:
    wait_until(condition, what, 30, every=0.01)


def says(listener: Listener, source: str, state: str, error: str | None = "") -> bool:
    """Whether a source is in this state; with an error that holds these words, or none at all."""
    now = listener.state()[source]
    right = now["error"] is None if error is None else error in (now["error"] or "")
    return bool(now["state"] == state and right)


def test_songs_arrive_by_the_event_stream(azuracast: AzuraCast, listener: Listener, heard: Heard) -> None:
    until(lambda: says(listener, "sse", "connected", None), "the stream")
    began = time.time()
    azuracast.begin(A, next=B)
    until(lambda: heard.titles("sse") == ["One"], "the first song, of which no webhook tells")
    event, received, _ = heard.events[-1]
    assert (event.station, event.artist, event.video_loop) == ("demo", "Ann", "one.mp4")
    assert event.next is not None
    assert event.next.title == "Two"
    assert event.song_id == A.id
    assert int(began) + 5 <= (event.played_at or 0) <= received + 5
    assert began <= received <= time.time()
    azuracast.begin(C)
    until(lambda: heard.titles("sse") == ["One", "Three/Drei ü"], "the next")
    assert says(listener, "poll", "idle", None)
    assert listener.state()["sse"]["last_at"] == heard.events[-1][1]
    assert not azuracast.sent


def test_only_its_own_station(azuracast: AzuraCast, listener: Listener, heard: Heard) -> None:
    until(lambda: says(listener, "sse", "connected"), "the stream")
    azuracast.begin(A, station="jazz")
    azuracast.begin(B, station="rock")
    until(lambda: heard.titles() == ["Two"], "the song")


def test_who_comes_later_gets_what_is_playing(azuracast: AzuraCast, heard: Heard) -> None:
    azuracast.knobs.tick = 60
    azuracast.begin(A)
    until(lambda: azuracast.site.file("rock"), "told")
    late = Listener("demo", azuracast.url + "/", "rock", None, heard)
    late.start()
    until(lambda: heard.titles("sse") == ["One"], "the song")
    late.stop()
    assert "/api/nowplaying/rock" not in azuracast.site.asked


def test_the_api_while_there_is_no_stream(azuracast: AzuraCast, listener: Listener, heard: Heard) -> None:
    azuracast.begin(A)
    until(lambda: heard.titles("sse") == ["One"], "by the stream")
    azuracast.knobs.sse = False
    azuracast.begin(B)
    until(lambda: says(listener, "sse", "away", "502") and says(listener, "poll", "connected", None), "the API")
    until(lambda: heard.titles() == ["One", "Two"], "by the API")
    azuracast.knobs.sse = True
    until(lambda: says(listener, "sse", "connected", None) and says(listener, "poll", "idle", None), "the stream")
    asked = len(azuracast.site.asked)
    azuracast.begin(C)
    until(lambda: heard.titles("sse")[-1] == C.title, "by the stream again")
    assert len(azuracast.site.asked) == asked


def test_a_stream_that_a_proxy_keeps_back(
    azuracast: AzuraCast, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_back(channels: Channels, *_: object) -> tuple[bytes, Inbox]:
        return b":\n", Inbox()

    monkeypatch.setattr(httpget, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(Channels, "subscribe", keep_back)
    azuracast.knobs.ping = 60
    azuracast.begin(A)
    kept = Listener("demo", azuracast.url, "rock", None, heard)
    kept.start()
    until(lambda: heard.titles("poll") == ["One"], "the song")
    azuracast.begin(B)
    until(lambda: heard.titles("poll") == ["One", "Two"], "the next")
    assert says(kept, "sse", "away", "does not answer in time")
    kept.stop()


def test_a_key(azuracast: AzuraCast, heard: Heard) -> None:
    azuracast.knobs.sse, azuracast.knobs.key = False, "0123:4567"
    azuracast.begin(A)
    for key, error in (
        (None, "not public (403); put an API key into the credential demo.azuracast-key"),
        (
            "9999:0000",
            "refuses the API key (403)",
        ),
    ):
        wrong = Listener("demo", azuracast.url, "rock", key, heard)
        wrong.start()
        until(lambda: says(wrong, "poll", "away", error), error)  # noqa: B023 - done with within the loop
        wrong.stop()
        assert "9999" not in str(wrong.state())
    assert not heard.events
    right = Listener("demo", azuracast.url, "rock", "0123:4567", heard)
    right.start()
    until(lambda: heard.titles("poll") == ["One"], "the song")
    right.stop()


def test_a_station_that_is_none(azuracast: AzuraCast, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENT", 0.3)
    azuracast.knobs.ping = 0.1
    wrong = Listener("demo", azuracast.url, "rok", None, heard)
    wrong.start()
    until(lambda: says(wrong, "poll", "away", "'rok' (404)"), "the API's answer")
    # Its event stream is there all the same, and says nothing.
    until(lambda: says(wrong, "sse", "away", "says nothing of a station 'rok'"), "the silence")
    wrong.stop()


def test_an_azuracast_that_goes_and_comes(azuracast: AzuraCast, listener: Listener, heard: Heard) -> None:
    azuracast.begin(A)
    until(lambda: heard.titles() == ["One"], "the song")
    azuracast.stop()
    until(lambda: says(listener, "sse", "away") and says(listener, "poll", "away", "refused"), "it is away")
    since = listener.state()["sse"]["since"]
    time.sleep(0.3)  # attempts that fail like the one before are no news
    assert listener.state()["sse"]["since"] == since
    azuracast.start()
    azuracast.begin(B)
    until(lambda: says(listener, "sse", "connected", None) and heard.titles()[-1] == "Two", "it is back")


@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        (b"data: {\n\n", "not JSON"),
        (b"data: [1]\n\n", "no message"),
        (b'data: {"pub":{}}\n\n', "without AzuraCast's document"),
        (b'data: {"disconnect":{"code":3000,"reason":"go away"}}\n\n', "go away"),
        (b"x" * (sse.MAX_EVENT + 1), "more than"),
    ],
)  # fmt: skip
def test_garbage_costs_an_attempt(
    azuracast: AzuraCast, listener: Listener, heard: Heard, garbage: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    azuracast.begin(A)
    until(lambda: heard.titles() == ["One"], "the song")
    azuracast.site.inject("rock", garbage)
    until(lambda: any(why in str(vars(record).get("context")) for record in caplog.records), "it is said")
    assert not [record for record in caplog.records if record.exc_info]
    azuracast.begin(B)
    until(lambda: heard.titles()[-1] == "Two" and says(listener, "sse", "connected"), "it goes on")


@pytest.mark.parametrize(
    ("np", "field"),
    [
        ('{"station":{"shortcode":"rock"}}', "now_playing: is missing"),
        ('{"station":{"id":"1"},"song":{"title":"\\ud800"}}', ": "),
        ('{"station":{"id":1},"song":{"id":"a","custom_fields":{"video_loop":5}}}', "video_loop"),
    ],
)  # fmt: skip
def test_one_song_that_makes_no_sense_costs_nothing(
    azuracast: AzuraCast, listener: Listener, heard: Heard, np: str, field: str
) -> None:
    azuracast.knobs.tick = 60
    azuracast.begin(A)
    until(lambda: heard.titles("sse") == ["One"], "the song")
    connected = listener.state()["sse"]["since"]
    azuracast.site.inject("rock", b'data: {"pub":{"data":{"np":%s}}}\n\n' % np.encode())
    until(
        lambda: says(listener, "sse", "connected", "can't be used") and says(listener, "sse", "connected", field),
        "said",
    )
    azuracast.begin(B)
    until(lambda: heard.titles("sse") == ["One", "Two"], "the next")
    assert says(listener, "sse", "connected", None)
    assert listener.state()["sse"]["since"] == connected


def test_a_song_that_cannot_be_dealt_with_ends_nothing(
    azuracast: AzuraCast, caplog: pytest.LogCaptureFixture
) -> None:
    offered = []

    def offer(event: TrackEvent, _received: float, _source: str) -> None:
        offered.append(event.title)
        raise RuntimeError("no")

    one = Listener("demo", azuracast.url, "rock", None, offer)
    one.start()
    azuracast.begin(A)
    until(lambda: "One" in offered, "the first")
    azuracast.begin(B)
    until(lambda: "Two" in offered, "the second")
    assert says(one, "sse", "connected")
    one.stop()
    assert any(record.message == "Event not dealt with" for record in caplog.records)


def test_it_ends_at_once(azuracast: AzuraCast, listener: Listener, heard: Heard) -> None:
    until(lambda: says(listener, "sse", "connected"), "the stream")
    began = time.monotonic()
    listener.stop()
    assert time.monotonic() - began < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "azuracast-demo"]
    azuracast.begin(A)
    until(lambda: azuracast.site.file("rock"), "told")
    assert not heard.events
    assert listener.state()["sse"]["state"] == "connected"


def test_it_can_be_stopped_before_it_has_begun(heard: Heard) -> None:
    Listener("demo", "http://127.0.0.1:9", "rock", None, heard).stop()
