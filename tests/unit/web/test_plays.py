from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.resolver import Resolution
from hook_service.tracks.scenes import Plot, Scene
from hook_service.web.plays import ROWS, Memory, Play


def play(number: int) -> Play:
    event = TrackEvent(station="demo", artist="Artist", title=f"Song {number}")
    resolution = Resolution("/srv/loops/one.mp4", "track_key", 1, "/srv/loops/default.mp4")
    return Play(f"play-{number}", event, resolution, 10.0, "request", 13.0, "icy", number, ("/srv/loops/two.mp4",))


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "demo.json")
    for number in range(1, 4):
        memory.add(play(number))
    memory.on_air("play-2")
    scene = Scene(number=3, event=play(3).event, at=1.0, send_at=0.0, decided_by="icy", received=0.5, request_id="")
    memory.plot = json.dumps(Plot(trusted=True, scenes=[scene], number=3).to_json())
    memory.switch = {"at": 13.0, "decided_by": "icy", "scene": 2}
    memory.save()
    again = Memory.load(memory.path)
    assert again.plays == memory.plays
    assert (again.rows, again.switch, again.current) == ({2: "play-2"}, memory.switch, "play-2")
    assert again.story().scenes == [scene]
    assert again.of_scene(3) == play(3)
    assert again.of_scene(1) is None


def test_a_file_of_the_first_versions(tmp_path: Path) -> None:
    old: dict[str, Any] = asdict(play(1))
    for name in ("at", "decided_by", "scene", "before"):
        del old[name]
    del old["event"]["streamer"]
    path = tmp_path / "demo.json"
    path.write_text(
        json.dumps({"gate": {}, "marks": {"playout": ["b", 3]}, "plays": [old], "current": "play-1", "fault": None})
    )
    memory = Memory.load(path)
    assert memory.current == "play-1"
    [kept] = memory.plays.values()
    assert (kept.at, kept.decided_by, kept.scene) == (10.0, "webhook", 0)
    assert memory.story() == Plot()


def test_a_story_that_can_not_be_read_takes_no_numbers_of_plays_that_are_kept(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "demo.json")
    memory.add(play(7))
    memory.plot = '{"scenes": 3}'
    assert memory.story().number == 7


def test_rows_are_bounded(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "demo.json")
    for number in range(1, 100):
        memory.add(play(number))
        memory.on_air(f"play-{number}")
    assert len(memory.rows) == ROWS
    assert memory.rows[99] == "play-99"
