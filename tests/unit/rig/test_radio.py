"""The rig's Liquidsoap: what it plays, what it says of it, and which titles reach a listener."""

import html
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.child import find_program, left_behind
from tests.rig.icecast import Icecast
from tests.rig.net import bindable, wait_until
from tests.rig.radio import Began, Radio
from tests.rig.radio_script import Format

MOUNT = "/radio.mp3"
ONE, TWO = Track("Grün & Söhne", 'Say "so" \\', "Feldwege"), Track("Ида", "Фиалка")


def title(icecast: Icecast, mount: str = MOUNT) -> str | None:
    """What Icecast would tell a listener."""
    said = icecast.mounts()[mount].get("title")
    return None if said is None else html.unescape(said)


def codec(url: str) -> str:
    """What a listener gets there."""
    command = [find_program("ffprobe"), "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ["-f", "lavfi", "-i", "sine=frequency=600:duration=20", "-ac", "2", "-f", "wav"]
    return media.make(tmp_path_factory.mktemp("media"), "tone.wav", made)


def test_it_plays_what_it_is_told_and_says_when(run_dir: Path, tone: Path) -> None:
    told: list[Began] = []
    with Icecast(run_dir) as icecast:
        songs = [(ONE, tone), (TWO, tone)]
        with Radio(run_dir, icecast, MOUNT, songs=songs, on_begin=told.append) as radio:
            radio.wait(ONE)
            assert radio.after(ONE) == TWO
            assert radio.after(TWO) == ONE
            wait_until(lambda: title(icecast) == ONE.text, "the title", 5)
            cut, again = Track("A", "cut"), Track("A", "cut off")
            at = [radio.play(cut, tone), radio.play(again, tone)]
            assert 0 < at[1] - at[0] < 5
            assert radio.current == again
            assert radio.after(again) is None
            wait_until(lambda: title(icecast) == again.text, "the title of what was cut to", 5)
            # A jingle leaves the title as it is, and what it cut off is gone.
            radio.play(Track("J", "jingle"), tone, jingle=True)
            count = len(radio.begun)
            radio.skip()
            radio.wait(ONE, count)
            waiting = Track("Q", "queued")
            radio.queue(waiting, tone)
            radio.skip()
            radio.wait(waiting)
            radio.kill()
            assert MOUNT not in icecast.mounts()
            count = len(radio.begun)
            radio.start()
            radio.wait(ONE, count)
            assert told == radio.begun
            assert "jingle" not in (run_dir / "icecast/error.log").read_text()
    assert left_behind(run_dir) == {}
    assert bindable(icecast.port)


def test_every_format_is_on_its_mount_with_titles_or_without(run_dir: Path, tone: Path) -> None:
    codecs: dict[str, tuple[Format, str]] = {
        "/radio.mp3": ("mp3", "mp3"), "/radio.aac": ("aac", "aac"), "/radio.ogg": ("vorbis", "vorbis"),
        "/radio.opus": ("opus", "opus"), "/plain.mp3": ("mp3", "mp3"),
    }  # fmt: skip
    with ExitStack() as stack:
        icecast = stack.enter_context(Icecast(run_dir))
        radios = [
            Radio(run_dir, icecast, mount, format=kind, titles=mount != "/plain.mp3", songs=[(ONE, tone)])
            for mount, (kind, _) in codecs.items()
        ]
        for radio in radios:
            stack.callback(radio.forget)
        with ThreadPoolExecutor(len(radios)) as pool:
            list(pool.map(lambda radio: radio.start(), radios))
            list(pool.map(lambda radio: radio.play(TWO, tone), radios))
            probed = list(pool.map(lambda mount: codec(icecast.url(mount)), codecs))
        wait_until(lambda: title(icecast, "/radio.aac") == TWO.text, "the title", 5)
        wait_until(lambda: title(icecast, "/radio.mp3") == TWO.text, "the title", 5)
        assert title(icecast, "/plain.mp3") is None
    assert probed == [codec for _, codec in codecs.values()]
