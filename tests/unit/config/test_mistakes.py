"""What is wrong is said in one line that names the key, the fault and the remedy."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from hook_service import config
from hook_service.config import ConfigError
from tests.unit.configs import DEMO, dump, problems, put, whole

MISTAKES: list[tuple[str, Any, list[str]]] = [
    # key, value, what the line must say besides the key
    ("paths.loops", "srv/loops", ["'srv/loops' is not absolute", "write the whole path"]),
    ("paths.loops", 5, ["5"]),
    ("paths.lops", "/x", ["is not a setting", "did you mean 'loops'?"]),
    ("database.dsn", "host=h password=secret1", ["holds a password", "database-password"]),
    ("database.dsn", "host=h password = 'secret1'", ["holds a password", "database-password"]),
    ("database.dsn", "postgresql://radio:secret1@h/radio", ["holds a password", "database-password"]),
    ("database.dsn", "postgresql://h/radio?password=secret1", ["holds a password", "database-password"]),
    ("database.history_days", 0, ["0", "greater than or equal to 1"]),
    ("database.error_days", "soon", ["'soon'", "integer"]),
    ("web.listen", "9000", ["'9000' is not an address", "host:port"]),
    ("web.listen", "127.0.0.1:99999", ["is not an address", "host:port"]),
    ("web.listen", "127.0.0.1:http", ["is not an address", "host:port"]),
    ("web.threads", 0, ["greater than or equal to 1"]),
    ("web.threads", 65, ["less than or equal to 64"]),
    ("web.threads", True, ["True", "integer"]),
    ("web.threads", 8.5, ["8.5", "integer"]),
    ("web.threads", "8", ["'8'", "integer"]),
    ("database.history_days", True, ["True", "integer"]),
    ("web.request_per_second", 5, ["is not a setting", "did you mean 'requests_per_second'?"]),
    ("web.prometheus", "127.0.0.1:9090", ["'127.0.0.1:9090' is not a server's address", "http://host:port"]),
    ("web.prometheus", "http://127.0.0.1:99999", ["is not a server's address"]),
    ("web.alertmanager", "http://me:secret1@127.0.0.1:9093", ["more than a server's address", "leave out user"]),
    ("webhook.user", "", ["at least 1 character"]),
    ("webhook.password", "secret1", ["is not a setting", "known keys here: user"]),
    ("relay.rtmp", ":1935", ["is not an address"]),
    ("profiles.square.width", 721, ["721", "multiple of 2"]),
    ("profiles.square.height", 4000, ["less than or equal to 2160"]),
    ("profiles.square.fps", 29.97, ["'29.97' is not a frame rate", "30000/1001"]),
    ("profiles.square.fps", "61", ["is not a frame rate"]),
    ("profiles.square.fps", "1/2", ["is not a frame rate"]),
    ("profiles.square.fps", "30/0", ["'30/0' is not a frame rate", "30000/1001"]),
    ("profiles.square.fps", True, ["is not a frame rate"]),
    ("profiles.square.encoder", "x264", ["'x264'", "'libx264'", "'h264_nvenc'"]),
    ("profiles.square.bitrate", 5, ["is not a setting", "known keys here", "video_kbps"]),
    ("profiles.720p30", {"width": 1280, "height": 720, "video_kbps": 3000}, ["ships", "another name"]),
    ("profiles.My Profile", {"width": 1280, "height": 720, "video_kbps": 3000}, ["'My Profile'", "lower-case"]),
    ("stations", {}, ["at least 1 item"]),
    ("stations.Demo", {"audio": {"url": "http://h/m"}}, ["'Demo' is not a usable name", "lower-case"]),
    (f"{DEMO}.audio", "http://h/m", ["http://h/m"]),
    (f"{DEMO}.audio.url", "ftp://h/m", ["is not a mount's address", "http://"]),
    (f"{DEMO}.audio.url", "file:///etc/passwd", ["is not a mount's address", "http://"]),
    (f"{DEMO}.audio.url", "http:///radio.mp3", ["is not a mount's address", "http://"]),
    (f"{DEMO}.audio.url", "http://h:99999/m", ["is not a mount's address", "http://host:port"]),
    (f"{DEMO}.audio.url", "http://h:0/m", ["is not a mount's address", "http://host:port"]),
    (f"{DEMO}.audio.url", "http://h:port/m", ["is not a mount's address", "http://host:port"]),
    (f"{DEMO}.audio.url", "http://user:secret1@h/m", ["holds a user or password", "ps"]),
    (f"{DEMO}.audio.url", "http://user@h/m", ["holds a user or password", "ps"]),
    (f"{DEMO}.audio.fallback", "../x.mp3", ["leaves the loops directory", "paths.loops"]),
    (f"{DEMO}.audio.fallbak", "x.mp3", ["did you mean 'fallback'?"]),
    (f"{DEMO}.profile", "4k", ["'4k' is not a profile", "1080p30, 720p30, square", "define it"]),
    (f"{DEMO}.timezone", "Europe/Berln", ["'Europe/Berln' is not a time zone", "Europe/Berlin"]),
    (f"{DEMO}.timezone", "../../etc/passwd", ["is not a time zone"]),
    (f"{DEMO}.timezone", "Europe", ["is not a time zone"]),
    (f"{DEMO}.default_loop", "", ["leaves the loops directory"]),
    (f"{DEMO}.dayparts.0.from", "25:00", ["'25:00' is not a time of day", "'HH:MM'"]),
    (f"{DEMO}.dayparts.0.from", "22", ["is not a time of day"]),
    (f"{DEMO}.dayparts.0.to", None, ["is not a time of day"]),
    (f"{DEMO}.dayparts.0.to", True, ["is not a time of day"]),
    (f"{DEMO}.dayparts.0.form", "22:00", ["is not a setting", "did you mean 'from'?"]),
    (f"{DEMO}.dayparts.0.loop", "/../x", ["leaves the loops directory"]),
    (f"{DEMO}.switch_delay", -1, ["greater than or equal to 0"]),
    (f"{DEMO}.switch_delay", True, ["True", "number"]),
    (f"{DEMO}.fade_in", False, ["False", "number"]),
    (f"{DEMO}.switch_delay", "three", ["'three'", "number"]),
    (f"{DEMO}.switch_delay", float("nan"), ["nan"]),
    (f"{DEMO}.fade_in", 2.5, ["less than or equal to 2"]),
    (f"{DEMO}.fadein", 1, ["did you mean 'fade_in'?"]),
    (f"{DEMO}.transition", "cut", ["fade_in: has no effect on a cut"]),
    (f"{DEMO}.transition", "dissolve", ["'dissolve'", "'cut', 'fade' or 'crossfade'"]),
    (f"{DEMO}.azuracast", "https://radio.example", ["https://radio.example"]),
    (f"{DEMO}.azuracast.url", "radio.example", ["is not AzuraCast's address", "https://host"]),
    (f"{DEMO}.azuracast.url", "ftp://radio.example", ["is not AzuraCast's address"]),
    (f"{DEMO}.azuracast.url", "https://radio.example:0", ["is not AzuraCast's address"]),
    (f"{DEMO}.azuracast.url", "https://u:secret1@radio.example", ["holds a user or password", "credential"]),
    (f"{DEMO}.azuracast.url", "https://radio.example/?key=secret1", ["is more than", "leave out"]),
    (f"{DEMO}.azuracast.shortcode", "de/mo", ["'de/mo' is not a short name", "/public/"]),
    (f"{DEMO}.azuracast.key", "secret1", ["is not a setting", "known keys here: url, shortcode"]),
    (f"{DEMO}.azuracast.ur", "x", ["did you mean 'url'?"]),
    (f"{DEMO}.policies.offline", "hodl", ["is neither a policy nor a loop", "did you mean 'hold'?"]),
    (f"{DEMO}.policies.offline", "track", ["is neither a policy nor a loop", "write hold, default, slate"]),
    (f"{DEMO}.policies.live", "slate", ["is neither a policy nor a loop"]),
    (f"{DEMO}.policies.live", "../live.mp4", ["leaves the loops directory"]),
    (f"{DEMO}.policies.live", True, ["True"]),
    (f"{DEMO}.policies.djs.DJ Two", "../two.mp4", ["leaves the loops directory"]),
    (f"{DEMO}.policies.jingles.show", "hide", ["is neither a policy nor a loop", "hold"]),
    (f"{DEMO}.policies.jingles.playlists", "Jingles", ["'Jingles'", "list"]),
    (f"{DEMO}.policies.jingle", {}, ["did you mean 'jingles'?"]),
    (f"{DEMO}.destinations.youtube.url", "https://youtube.com", ["is not an ingest", "rtmps://host/"]),
    (f"{DEMO}.destinations.youtube.url", "rtmp:///live2", ["is not an ingest"]),
    (f"{DEMO}.destinations.youtube.url", "rtmp://h:70000/live2", ["is not an ingest"]),
    (f"{DEMO}.destinations.youtube.url", "srt://h:ingest", ["is not an ingest"]),
    (f"{DEMO}.destinations.youtube.url", "rtmp://u:secret1@h/live2", ["holds a user or password", "credential"]),
    (f"{DEMO}.destinations.youtube.key", "secret1", ["is not a setting", "known keys here: url, backup_of, youtube"]),
    (f"{DEMO}.destinations.youtube.youtube", "Ab-1", ["Ab-1"]),
    (f"{DEMO}.destinations.youtube.youtube.stream", "a b", ["'a b' is not the id of a stream", "authorise"]),
    (f"{DEMO}.destinations.You Tube", {"url": "rtmp://h/x"}, ["'You Tube' is not a usable name"]),
    (f"{DEMO}.destinations.backup.backup_of", "yotube", ["'yotube' is not another destination", "youtube"]),
    (f"{DEMO}.destinations.backup.backup_of", "backup", ["is not another destination", "youtube"]),
    ("station", {}, ["is not a setting", "did you mean 'stations'?"]),
    ("nonsense_setting", 1, ["is not a setting", "known keys here", "stations"]),
]


@pytest.mark.parametrize(("key", "value", "said"), MISTAKES, ids=lambda value: str(value)[:40])
def test_each_mistake_is_one_line(path: Path, key: str, value: Any, said: list[str]) -> None:
    raw = whole()
    put(raw, key, value)
    [line] = problems(path, dump(raw))
    assert line.startswith(f"{key}: ") or f"{key.removeprefix(DEMO + '.')}: " in line, line
    assert "\n" not in line
    for part in said:
        assert part in line
    assert "secret1" not in line, "a secret is not repeated into the journal"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("stations", "add it"),
        (f"{DEMO}.audio", "add it"),
        (f"{DEMO}.audio.url", "add it"),
        ("profiles.square.width", "add it"),
    ],
)
def test_what_is_missing(path: Path, key: str, said: str) -> None:
    raw: Any = whole()
    *parents, last = key.split(".")
    at = raw
    for part in parents:
        at = at[part]
    del at[last]
    assert problems(path, dump(raw)) == [f"{key}: is missing; {said}"]


def test_all_mistakes_at_once(path: Path) -> None:
    raw = whole()
    put(raw, "web.threads", 0)
    put(raw, f"{DEMO}.timezone", "Mars/Olympus")
    put(raw, f"{DEMO}.destinations.youtube.url", "x")
    put(raw, "pahts", {})
    assert [line.split(": ")[0] for line in problems(path, dump(raw))] == [
        "web.threads",
        f"{DEMO}.timezone",
        f"{DEMO}.destinations.youtube.url",
        "pahts",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no settings; begin with 'stations:'"),
        ("- a\n- b\n", "holds no settings"),
        ("stations: [\n", "is not YAML"),
        ("a: b: c\n", "line 1"),
        ("stations:\n\tdemo: {}\n", "is not YAML"),
        ("!!python/object/apply:os.system ['true']\n", "is not YAML"),
    ],
)
def test_what_is_no_configuration(path: Path, text: str, said: str) -> None:
    [line] = problems(path, text)
    assert said in line


def test_a_file_that_cannot_be_read(path: Path, tmp_path: Path) -> None:
    for unreadable in (path, tmp_path):
        with pytest.raises(ConfigError) as caught:
            config.load(unreadable)
        [line] = caught.value.problems
        assert "can't be read" in line
        assert "--config" in line
    path.write_bytes(b"stations: {\xe9: 1}")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("22:00", time(22)), ("06:00", time(6)), ("'22:00'", time(22)), ("8:05", time(8, 5)), ("10:30", time(10, 30))],
)
def test_unquoted_times_of_day(path: Path, written: str, meant: time) -> None:
    """YAML 1.1 reads 22:00 as 1320."""
    daypart = f'{{from: {written}, to: "07:00", loop: n.mp4}}'
    path.write_text(f'stations: {{demo: {{audio: {{url: "http://h/m"}}, dayparts: [{daypart}]}}}}')
    assert config.load(path).stations["demo"].dayparts[0].from_ == meant


def test_24_00_is_not_a_time_of_day(path: Path) -> None:
    raw = 'stations: {demo: {audio: {url: "http://h/m"}, dayparts: [{from: 24:00, to: 01:00, loop: n.mp4}]}}'
    assert "'24:00' is not a time of day" in problems(path, raw)[0]


class TestEasilyMistaken:
    """Mistakes that YAML, or a library, would let pass or answer with a traceback."""

    def test_a_key_that_is_there_twice(self, path: Path) -> None:
        text = 'stations: {demo: {audio: {url: "http://h/a"}}}\nstations: {other: {audio: {url: "http://h/b"}}}\n'
        [line] = problems(path, text)
        assert "'stations' is given twice" in line
        assert "line 2" in line
        assert "'b' is given twice" in problems(path, "stations: {a: {audio: {b: 1, b: 1}}}")[0]

    def test_what_is_merged_from_elsewhere_is_not_given_twice(self, path: Path) -> None:
        text = """
        stations:
          one: &one {profile: 1080p30, audio: {url: "http://h/a"}}
          two: &two {<<: *one, profile: 720p30}
          three: {<<: *two, name: Three, profile: 1080p30}
        """
        path.write_text(text)
        stations = config.load(path).stations
        assert [each.profile for each in stations.values()] == ["1080p30", "720p30", "1080p30"]

    @pytest.mark.parametrize("name", ["on", "1234", "no"])
    def test_a_name_that_yaml_takes_for_something_else(self, path: Path, name: str) -> None:
        [line] = problems(path, f'stations: {{{name}: {{audio: {{url: "http://h/a"}}}}}}\n')
        assert line.startswith("stations.")
        assert "put it in quotes" in line
        path.write_text(f'stations: {{"{name}": {{audio: {{url: "http://h/a"}}}}}}\n')
        assert list(config.load(path).stations) == [name]

    @pytest.mark.parametrize(
        "text", ["webhook: {user: 2024-02-30}\n", "a: !!int x\n", "[" * 5_000], ids=lambda t: t[:8]
    )
    def test_what_yaml_itself_stumbles_over(self, path: Path, text: str) -> None:
        assert problems(path, text)
