"""The simulated AzuraCast is only as good as it is like the real one: its shape, and its habits."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hook_service.tracks import nowplaying
from tests.rig.azuracast import AzuraCast, Knobs, Track, body
from tests.rig.net import LOOPBACK, wait_until
from tests.rig.net import http as request
from tests.rig.nowplaying import encode, song_hash

A, B = Track("Ann/Anna", "Öne", "Album", duration=200, loop="one.mp4"), Track("Bo", "Two")


class Receiver:
    """Takes webhooks."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, bytes, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.taken.append((time.time(), raw, json.loads(raw)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.hook = (f"http://{LOOPBACK}:{self.server.server_port}/hook", "user", "password")

    @property
    def titles(self) -> list[str]:
        return [document["now_playing"]["song"]["title"] for _, _, document in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def azuracast(receiver: Receiver) -> Iterator[AzuraCast]:
    knobs = Knobs(delay=0.0, tick=60.0, cache=0.0)
    with AzuraCast(["demo"], [receiver.hook], knobs=knobs) as server:
        yield server


def until(condition: Callable[[], object], what: str = "told") -> None:
    wait_until(condition, what, 5, every=0.01)


def told(azuracast: AzuraCast, title: str) -> None:
    """Wait until the worker has dealt with a song."""
    until(
        lambda: title.encode() in (azuracast.site.file("demo") or (0, b""))[1].replace(b"\\u00d6", "Ö".encode()),
        title,
    )


def known(azuracast: AzuraCast) -> dict[str, Any]:
    status, answer = request(f"{azuracast.url}/api/nowplaying/demo")
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


# --- shape ----------------------------------------------------------------------------------------------------------


def test_the_entity_has_azuracasts_fields() -> None:
    entity = body("demo", A)
    # Entity/Api/NowPlaying: NowPlaying, Station, StationMount, Listeners, Live, CurrentSong; Entity/Api/Song.
    assert set(entity) == {
        "station", "listeners", "live", "now_playing", "playing_next", "song_history", "is_online", "cache",
    }  # fmt: skip
    assert set(entity["station"]) == {
        "id", "name", "shortcode", "description", "frontend", "backend", "timezone", "listen_url", "url",
        "public_player_url", "playlist_pls_url", "playlist_m3u_url", "is_public", "requests_enabled", "mounts",
        "remotes", "hls_enabled", "hls_is_default", "hls_url", "hls_listeners",
    }  # fmt: skip
    assert set(entity["station"]["mounts"][0]) == {
        "id", "name", "url", "bitrate", "format", "listeners", "path", "is_default",
    }  # fmt: skip
    assert set(entity["live"]) == {"is_live", "streamer_name", "broadcast_start", "art"}
    assert set(entity["listeners"]) == {"total", "unique", "current"}
    assert set(entity["now_playing"]) == {
        "sh_id", "played_at", "duration", "playlist", "streamer", "is_request", "song", "elapsed", "remaining",
    }  # fmt: skip
    assert set(entity["now_playing"]["song"]) == {
        "id", "text", "artist", "title", "album", "genre", "isrc", "lyrics", "art", "custom_fields",
    }  # fmt: skip
    assert entity["cache"] == "event"


def test_json_is_phps() -> None:
    written = encode(body("demo", A))
    assert b'"artist":"Ann\\/Anna","title":"\\u00d6ne"' in written
    assert b'"listen_url":"http:\\/\\/' in written
    event = nowplaying.parse_json(written)
    assert (event.artist, event.title, event.album, event.video_loop) == ("Ann/Anna", "Öne", "Album", "one.mp4")
    assert event.media_id
    assert event.duration == 200


def test_the_song_id_is_of_the_text_without_what_does_not_survive_the_radio() -> None:
    assert song_hash("Ann - One") == song_hash("ANNONE") == song_hash("ann 'one'")
    assert song_hash(" - ") == "5a6a865199cf5df73b1417326d2ff24f"  # Song::OFFLINE_SONG_ID


@pytest.mark.parametrize(
    ("made", "track", "fields"),
    [
        ((), B, []),
        ((), A, {"video_loop": "one.mp4"}),
        (("video_loop", "mood"), B, {"video_loop": None, "mood": None}),
        (("video_loop", "mood"), A, {"video_loop": "one.mp4", "mood": None}),
    ],
)
def test_custom_fields(made: tuple[str, ...], track: Track, fields: object) -> None:
    with AzuraCast(["demo"], knobs=Knobs(delay=0.0), custom_fields=made) as azuracast:
        azuracast.begin(track)
        told(azuracast, track.title)
        assert known(azuracast)["now_playing"]["song"]["custom_fields"] == fields


# --- habits ---------------------------------------------------------------------------------------------------------


def test_the_first_song_the_same_song_and_jingles_send_nothing(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    row = known(azuracast)["now_playing"]["sh_id"]
    azuracast.begin(A)
    azuracast.begin(Track("Jing", "Le"), jingle=True)
    time.sleep(0.1)
    assert known(azuracast)["now_playing"]["sh_id"] == row
    # After a jingle the same song is a new play, and no change all the same.
    azuracast.begin(A)
    until(lambda: known(azuracast)["now_playing"]["sh_id"] > row)
    azuracast.begin(B, next=A)
    until(lambda: azuracast.sent)
    assert receiver.titles == ["Two"]
    document = receiver.taken[0][2]
    assert [row["song"]["title"] for row in document["song_history"]] == ["Öne", "Öne"]
    assert document["playing_next"]["song"]["title"] == "Öne"
    assert [(sent.text, sent.status) for sent in azuracast.sent] == [("Bo - Two", 202)]


def test_after_a_restart_it_is_offline_first(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.restart()
    azuracast.begin(A)
    until(lambda: len(receiver.taken) == 2)
    assert receiver.titles == ["Station Offline", "Öne"]
    offline = receiver.taken[0][2]
    assert offline["is_online"] is False
    playing = offline["now_playing"]
    assert (playing["sh_id"], playing["played_at"], playing["playlist"], playing["streamer"]) == (0, 0, None, None)
    assert abs(playing["elapsed"] - time.time()) < 10
    assert not nowplaying.parse(offline).online


def test_a_crash_keeps_the_song_but_is_offline(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.crashed()
    azuracast.begin(A)
    until(lambda: len(receiver.taken) == 2)
    assert receiver.titles == ["Öne", "Öne"]
    assert [document["is_online"] for _, _, document in receiver.taken] == [False, True]
    assert len({document["now_playing"]["sh_id"] for _, _, document in receiver.taken}) == 1


def test_a_streamer(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    azuracast.live("DJ Bo", Track("", "On the air"))
    azuracast.begin(B)
    until(lambda: len(receiver.taken) == 2)
    live = receiver.taken[0][2]
    assert (live["live"]["is_live"], live["live"]["streamer_name"]) == (True, "DJ Bo")
    assert live["live"]["broadcast_start"] > 0
    playing = live["now_playing"]
    assert (playing["duration"], playing["playlist"], playing["streamer"]) == (0, "", "DJ Bo")
    assert nowplaying.parse(live).is_live
    assert receiver.taken[1][2]["live"]["is_live"] is False


def test_lead_and_delay(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.knobs.lead, azuracast.knobs.delay = 0.5, 0.1
    sound = time.time() + 0.8
    azuracast.begin(B, sound)
    until(lambda: receiver.taken)
    assert sound - 0.4 <= receiver.taken[0][0] < sound - 0.1
    # The row's own time is that of the beginning, whenever it is noticed, and what is said is 5 s more.
    assert receiver.taken[0][2]["now_playing"]["played_at"] == int(sound - 0.5) + 5


def test_what_is_noticed_late_does_not_replace_what_came_later(azuracast: AzuraCast) -> None:
    azuracast.knobs.delay = 0.3
    azuracast.begin(A)
    azuracast.knobs.delay = 0.0
    azuracast.begin(B)
    told(azuracast, "Two")
    until(lambda: known(azuracast)["song_history"])
    assert known(azuracast)["now_playing"]["song"]["title"] == "Two"


def test_lost_and_repeated(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.knobs.loss = True
    azuracast.begin(B)
    until(lambda: azuracast.sent)
    assert azuracast.sent[0].status is None
    azuracast.knobs.loss, azuracast.knobs.duplicates = False, 2
    azuracast.begin(A)
    until(lambda: len(receiver.taken) == 3)
    assert receiver.titles == ["Öne"] * 3


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_burst(azuracast: AzuraCast, receiver: Receiver, shuffle: bool) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.knobs.hold, azuracast.knobs.shuffle = True, shuffle
    songs = [f"Song {number}" for number in range(20)]
    for title in songs:
        azuracast.begin(Track("Cy", title))
        until(lambda title=title: known(azuracast)["now_playing"]["song"]["title"] == title)  # type: ignore[misc]
    assert not receiver.taken
    azuracast.knobs.hold = False
    until(lambda: len(receiver.taken) == 20)
    # The snapshots of then.
    assert sorted(receiver.titles) == sorted(songs)
    assert (receiver.titles == songs) is not shuffle


def test_a_slow_receiver_is_lost_and_nobody_tries_again(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    receiver.server.shutdown()
    receiver.server.server_close()
    azuracast.begin(B)
    until(lambda: azuracast.sent)
    assert azuracast.sent[0].status is None
    assert "refused" in azuracast.sent[0].why


# --- HTTP -----------------------------------------------------------------------------------------------------------


def test_the_api_is_cached_and_counts_the_seconds(azuracast: AzuraCast) -> None:
    assert request(f"{azuracast.url}/api/nowplaying/demo")[0] == 404
    azuracast.begin(A, time.time() - 50)
    told(azuracast, A.title)
    azuracast.knobs.cache = 60
    first = known(azuracast)
    assert first["now_playing"]["elapsed"] in (50, 51)
    assert first["now_playing"]["remaining"] in (149, 150)
    assert first["cache"] is None
    azuracast.begin(B)
    told(azuracast, "Two")
    assert known(azuracast) == first
    # Another address of the same.
    assert json.loads(request(f"{azuracast.url}/api/nowplaying/1")[1])["now_playing"]["song"]["title"] == "Two"
    everything = json.loads(request(f"{azuracast.url}/api/nowplaying")[1])
    assert [one["now_playing"]["song"]["title"] for one in everything] == ["Two"]
    static = json.loads(request(f"{azuracast.url}/api/nowplaying_static/demo.json")[1])
    assert (static["now_playing"]["song"]["title"], static["cache"]) == ("Two", "event")


def test_the_api_may_want_a_key(azuracast: AzuraCast) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.knobs.key = "a:b"
    url = f"{azuracast.url}/api/nowplaying/demo"
    assert request(url)[0] == request(url, headers={"X-API-Key": "c:d"})[0] == 403
    assert request(url, headers={"X-API-Key": "a:b"})[0] == 200
    assert request(url, headers={"Authorization": "Bearer a:b"})[0] == 200
    assert request(f"{azuracast.url}/api/nowplaying/none")[0] == 404
    azuracast.knobs.api = False
    assert request(url)[0] == 502


def test_every_tick_is_an_event_of_the_stream(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.knobs.tick, azuracast.knobs.ping = 0.2, 0.3
    azuracast.begin(A)
    told(azuracast, A.title)
    connection = http.client.HTTPConnection(LOOPBACK, azuracast.site.port, timeout=5)
    connection.request(
        "GET",
        "/api/live/nowplaying/sse?cf_connect=%7B%22subs%22:%7B%22station:demo%22:%7B%22recover%22:true%7D%7D%7D",
    )
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert answer.readline() == b"\r\n"
    events: list[Any] = []
    while len(events) < 8:
        line = answer.readline()
        if line.startswith(b"data: "):
            events.append(json.loads(line[6:]))
    connect = events[0]["connect"]
    assert connect["subs"]["station:demo"]["publications"][0]["data"]["np"]["now_playing"]["song"]["title"] == "Öne"
    pushes = [event for event in events[1:] if event]
    assert {push["channel"] for push in pushes} == {"station:demo"}
    assert pushes[0]["pub"]["data"]["np"]["cache"] == "event"
    offsets = [push["pub"]["offset"] for push in pushes]
    assert offsets == list(range(offsets[0], offsets[0] + len(pushes)))
    assert {} in events
    assert not receiver.taken
    azuracast.knobs.sse = False
    answer.read1(100_000)
    until(lambda: azuracast.site.listening("demo") == 0)
    connection.close()


def test_it_can_go_away_and_come_back(azuracast: AzuraCast, receiver: Receiver) -> None:
    azuracast.begin(A)
    told(azuracast, A.title)
    azuracast.stop()
    with pytest.raises(OSError, match="refused"):
        request(azuracast.url)
    azuracast.start()
    azuracast.begin(B)  # the first that it knows of
    told(azuracast, "Two")
    azuracast.begin(A)
    until(lambda: receiver.taken)
    assert receiver.titles == ["Öne"]
