"""What an AzuraCast tells, by webhook, event stream or API: from its bytes to what is shown and written."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from hook_service.store import records
from hook_service.tracks import nowplaying, policies, track_key
from hook_service.tracks.gate import Gate
from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.tracks.resolver import Resolver
from hook_service.tracks.scenes import Plot, Title, event_from_json
from hook_service.tracks.snapshot import MappingRow, Snapshot
from hook_service.tracks.story import Story
from hook_service.web import sse
from hook_service.web.azuracast import Listener
from tests.fuzz.cases import LONG_TEXT, NUMBERS, TEXT, VALUES, changed, fuzz, spoiled
from tests.unit.playout.pieces import cuts, pieces
from tests.unit.tracks.bodies import body
from tests.unit.web.doubles import body as small_body

START = 1_800_000_000.0
LOOPS = "/srv/loops"
BODY = small_body("One", 1)
SMALL = {"station": {"name": "Demo FM"}, "song": {"artist": "A", "title": "T", "id": "1"}}
RESOLVER = Resolver(
    Snapshot.build([MappingRow(1, "*", "track", "artist - one", None, None, "one.mp4")], [], 0.0), LOOPS
)
POLICIES = policies.Policies(
    offline="slate", live="live.mp4", djs={"dj": "dj.mp4"}, jingle_playlists=frozenset({"x"})
)
DOCUMENTS = changed(BODY) | changed(SMALL) | changed(body())
CHANNEL = "station:demo"
EVENTS = [
    b'data: {"connect":{"subs":{"station:demo":{"publications":[{"data":{"np":'
    + json.dumps(BODY).encode()
    + b"}}]}}}}\n\n",
    b'data: {"channel":"station:demo","pub":{"data":{"np":' + json.dumps(BODY).encode() + b"}}}\r\n\r\n",
    b'data: {}\n\ndata: {"disconnect":{"code":3000,"reason":"shutdown"}}\n\n',
]


def told(text: str | bytes) -> nowplaying.TrackEvent | None:
    """The event in a body. What can't be used must be said without repeating it."""
    try:
        event = nowplaying.parse_json(text)
    except nowplaying.ValidationError as error:
        faults = error.fields
        assert faults
        json.dumps(faults).encode()
        return None
    for value in (event.artist, event.title, event.album, event.playlist, event.streamer, event.station):
        value.encode()
        assert len(value) <= nowplaying.MAX_TEXT
    return event


def shown(event: nowplaying.TrackEvent) -> None:
    """Everything that follows from an event: the loop, and the row."""
    found = policies.resolve(RESOLVER, POLICIES, event, datetime.fromtimestamp(START, UTC))
    if found is not None and found.loop:
        assert found.loop.startswith(LOOPS + "/")
        assert ".." not in found.loop.split("/")
        row = records.play_started(
            "id", event, loop=found.loop, rule=found.rule, mapping_id=None, started_at=START, publisher_pid=None
        )
        values = json.loads(row)
        assert "\\u0000" not in row
        assert all(len(values[name] or "") <= 512 for name in ("track_key", "artist", "title", "album"))
        row.encode()


@fuzz("webhook documents", 12, document=DOCUMENTS, number=st.integers(1, 9))
def test_document(document: Any, number: int) -> None:
    event = told(json.dumps(document))
    if event is None:
        return
    gate = Gate()
    story = Story("demo", switch_delay=3.0, known=lambda event: bool(event.song_id), names=("Demo FM",))
    if number % 2:
        story.mount("connected", "icy")
        story.heard(Title(text=f"{event.artist} - {event.title}", sound_at=START), START)
    for again in (told(json.dumps(BODY)), event, event):
        if again is not None:
            story.told(again, "webhook", START + number, "id", gate.admit(again))
    for later in (0, number, 20, 100):
        for decision in story.due(START + later):
            shown(decision.event)
    document = json.loads(json.dumps(story.plot.to_json()))
    assert Plot.from_json(document) == story.plot
    if story.plot.newest is not None:
        assert event_from_json(document["newest"]["event"]) == story.plot.newest.event


@fuzz("webhook bytes", 6, data=spoiled([json.dumps(BODY).encode(), json.dumps(SMALL).encode()]))
def test_bytes(data: bytes) -> None:
    event = told(data)
    if event is not None:
        Gate().admit(event)
        shown(event)


@fuzz("event stream", 8, data=spoiled(EVENTS), at=cuts)
def test_stream(data: bytes, at: list[int]) -> None:
    whole = sse.Parser().feed(data)
    parser = sse.Parser()
    assert [event for piece in pieces(data, at) for event in parser.feed(piece)] == whole
    listen(whole)


@fuzz(
    "event stream messages",
    6,
    document=changed({"pub": {"data": {"np": BODY}}, "channel": CHANNEL})
    | changed({"connect": {"subs": {CHANNEL: {"publications": [{"data": {"np": BODY}}]}}}})
    | changed({"disconnect": {"code": 1, "reason": "why"}}),
)
def test_messages(document: Any) -> None:
    listen([json.dumps(document)])


def listen(events: list[str]) -> None:
    """What the listener does with events; whatever they say, a source is away at worst."""
    heard: list[nowplaying.TrackEvent] = []
    listener = Listener("demo", "http://127.0.0.1:1", "demo", None, lambda event, at, source: heard.append(event))
    for event in events:
        with contextlib.suppress(sse.StreamError):
            for one in sse.message(event, CHANNEL).bodies:
                listener._hand_on(one)
    for track in heard:
        shown(track)


@fuzz("loop names", 6, name=TEXT | st.text("./\\ ab\0%", max_size=12) | LONG_TEXT)
def test_loop_names(name: str) -> None:
    try:
        path = loop_path(LOOPS, name)
    except LoopNameError as error:
        str(error).encode()
    else:
        assert path.startswith(LOOPS + "/")
        assert not {"..", "."} & set(path.split("/"))


@fuzz("track keys", 6, artist=TEXT, title=TEXT)
def test_track_keys(artist: str, title: str) -> None:
    key = track_key.track_key(artist, title)
    assert len(key) <= track_key.MAX_LENGTH
    assert track_key.normalise(key) == key


@fuzz("error records", 3, message=TEXT, context=st.dictionaries(TEXT, VALUES, max_size=3), at=NUMBERS)
def test_error_records(message: str, context: dict[str, Any], at: float) -> None:
    row = records.error("id", at, station=None, service="web", severity="ERROR", message=message, context=context)
    assert "\\u0000" not in json.loads(row)["context"]
    row.encode()
