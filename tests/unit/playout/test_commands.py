"""FFmpeg's command lines: keys stay out of them, and their options are known to the FFmpeg that is installed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hook_service.playout import commands
from hook_service.settings import Destination

KEY = "abcd-efgh-SECRET"


def target(url: str, key: str | None = KEY) -> Destination:
    return Destination("youtube", url, key, None)


@pytest.mark.parametrize(
    "url", ["rtmp://h/live2", "rtmps://b.example/live2?backup=1", "srt://h:9000?mode=caller", "srt://h:9000"]
)
def test_no_key_on_a_command_line(url: str, tmp_path: Path) -> None:
    line = commands.destination("rtmp://127.0.0.1/live/demo-a", target(url), tmp_path / "x.ffpreset")
    assert "SECRET" not in " ".join(line)
    assert KEY in commands.destination_secrets(target(url))
    assert "SECRET" not in repr(target(url))


def test_what_the_option_file_says() -> None:
    assert commands.destination_secrets(target("rtmps://b.example/live2?backup=1")).splitlines() == [
        "rtmp_app=live2?backup=1",
        f"rtmp_playpath={KEY}",
    ]
    assert commands.destination_secrets(target("rtmp://h/a/b/")).splitlines()[0] == "rtmp_app=a/b"
    assert commands.destination_secrets(target("srt://h:9000")) == f"streamid={KEY}\n"
    assert commands.destination_secrets(target("rtmp://h/live2", None)) == ""


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "audio": lambda _: commands.audio(192, "mp3"),
    "audio, unknown": lambda _: commands.audio(192, None),
    "monitor": lambda _: commands.monitor(64, 36),
    "grey pictures": lambda _: commands.grey_pictures(64, 36),
    "publisher": lambda _: commands.publisher("rtmp://127.0.0.1:1/live/x"),
    "rtmp": lambda p: commands.destination("rtmp://127.0.0.1:1/live/x", target("rtmp://127.0.0.1:1/a"), p),
    "srt": lambda p: commands.destination("rtmp://127.0.0.1:1/live/x", target("srt://127.0.0.1:1"), p),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_ffmpeg_knows_every_option(name: str, tmp_path: Path) -> None:
    """It gets as far as opening its input, which is not there."""
    secrets = tmp_path / "x.ffpreset"
    secrets.write_text(commands.destination_secrets(target("rtmp://127.0.0.1:1/a")))
    line = [part.replace("{progress}", "pipe:1").replace("{side}", "pipe:1") for part in COMMANDS[name](secrets)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    for complaint in ("Unrecognized option", "Option not found", "Error splitting", "Error parsing"):
        assert complaint not in done.stderr


def test_timestamps_are_ours_from_end_to_end(tmp_path: Path) -> None:
    for name in ("publisher", "rtmp", "srt"):
        line = COMMANDS[name](tmp_path)
        assert "-copyts" in line
        assert line[line.index("-c") + 1] == "copy"
    for name in ("publisher", "rtmp"):
        line = COMMANDS[name](tmp_path)
        assert (line[line.index("-tag:v") + 1], line[line.index("-tag:a") + 1]) == ("7", "10")


@pytest.mark.parametrize("demuxer", ["mp3", "aac", "ogg", None])
def test_the_mount_is_read_as_what_it_says_it_is(demuxer: str | None) -> None:
    line = commands.audio(128, demuxer)
    before, after = line[: line.index("-i")], line[line.index("-i") :]
    assert after[1] == "pipe:0"
    assert [before[n + 1] for n, part in enumerate(before) if part == "-f"] == ([demuxer] if demuxer else [])
    assert after[after.index("-b:a") + 1] == "128k"
    assert after[after.index("-f") + 1] == "adts"


@pytest.mark.parametrize("demuxer", ["mp3", "aac", "ogg", None])
def test_what_a_mount_sends_opens_nothing_else(demuxer: str | None, tmp_path: Path) -> None:
    """A list of files is no sound, and the file that it names is not read."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"RIFF")
    for sent in (f"#EXTM3U\n#EXTINF:1,\n{secret}\n", f"ffconcat version 1.0\nfile '{secret}'\n"):
        done = subprocess.run(
            commands.audio(128, demuxer), input=sent.encode() * 50, capture_output=True, timeout=20, check=False
        )
        assert done.returncode != 0
        assert done.stdout == b""
