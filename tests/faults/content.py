"""What is heard and shown: sound silent, distorted, changed; picture frozen, black; loops deleted and damaged."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.stage import Stage
from tests.rig import media
from tests.rig.net import wait_until
from tests.rig.station import MEDIA_CACHE

_FREEZER = Path(__file__).with_name("freezer.py")


def _sound(kind: str, stage: Stage) -> None:
    stage.studio("/sound", {"kind": kind})


def _songs(stage: Stage) -> None:
    stage.studio("/sound", {"kind": "songs"})


def _put_freezer(stage: Stage) -> None:
    """An FFmpeg that comes first on the services' PATH. The publisher is replaced by it."""
    stage.put(_FREEZER, "/usr/local/bin/ffmpeg")
    stage.host(f"kill -KILL {stage.pid('publisher')}")
    stage.wait_well()


def _take_freezer(stage: Stage) -> None:
    stage.host(f"rm -f /usr/local/bin/ffmpeg /run/radio/freeze; kill -KILL {stage.pid('publisher')}")


def _freeze(stage: Stage) -> None:
    stage.host("touch /run/radio/freeze")


def _thaw(stage: Stage) -> None:
    stage.host("rm -f /run/radio/freeze")


def _put_loop(stage: Stage) -> None:
    args = ["-f", "lavfi", "-i", "color=c=black:s=1280x720:r=30:d=10", "-c:v", "libx264", "-preset", "ultrafast"]
    stage.put(
        media.make(MEDIA_CACHE, "black.mp4", [*args, "-pix_fmt", "yuv420p", "-f", "mp4"]),
        "/srv/loops/black.mp4",
        "0644",
    )
    wait_until(lambda: _prepared(stage, "black.mp4"), "the black loop prepared", 90, every=0.5)


def _prepared(stage: Stage, loop: str) -> bool:
    items = stage.ask("/api/v1/loops?limit=500")["items"]
    return any(one["name"] == loop and "prepared" in one["profiles"].values() for one in items)


def _show_black(stage: Stage) -> None:
    """And hold it: the next song would bring another."""
    stage.ask(f"/api/v1/stations/{stage.station}/hold", body={"loop": "black.mp4"}, method="POST")


def _release(stage: Stage) -> None:
    stage.ask(f"/api/v1/stations/{stage.station}/release", method="POST")
    stage.studio("/skip", {})


def _remove_loop(stage: Stage) -> None:
    stage.host("rm -f /srv/loops/black.mp4")


def _loop_on_air(stage: Stage) -> str:
    return Path(stage.ask("/api/v1/status")["stations"][stage.station]["on_air"]["loop"]).name


def _delete_loops(stage: Stage) -> None:
    stage.host("mkdir -p /srv/away && mv /srv/loops/* /srv/away/")


def _return_loops(stage: Stage) -> None:
    stage.host("mv /srv/away/* /srv/loops/ && rmdir /srv/away")


def _damage_loop(stage: Stage) -> None:
    """What an upload that broke off leaves: the right name, rubbish inside, in the place of the loop on the air."""
    name = _loop_on_air(stage)
    stage.host(f"cp -p /srv/loops/{name} /srv/{name}.before; head -c 300000 /dev/urandom >/srv/loops/{name}")


def _mend_loop(stage: Stage) -> None:
    stage.host('for f in /srv/*.before; do n=$(basename "$f" .before); mv "$f" "/srv/loops/$n"; done')


FAULTS = (
    Fault(
        "mount-gone",
        "AzuraCast's source leaves, the mount is away for 15 s",
        partial(_sound, "gone"),
        _songs,
        song=False,
        hold=15,
        recovery=60,
    ),
    Fault(
        "mount-hung",
        "the mount stays, nothing comes for 15 s",
        partial(_sound, "hung"),
        _songs,
        song=False,
        hold=15,
        recovery=60,
    ),
    Fault(
        "sound-silent",
        "the mount sends digital silence until the alert",
        partial(_sound, "silent"),
        _songs,
        song=False,
        hold=15,
        alert="SoundSilent",
    ),
    Fault(
        "sound-distorted",
        "the mount sends noise thirty decibels too loud until the alert",
        partial(_sound, "clipped"),
        _songs,
        song=False,
        hold=15,
        alert="LoudnessWrong",
    ),
    Fault(
        "sound-rubbish",
        "the mount sends bytes that are no sound for 15 s",
        partial(_sound, "rubbish"),
        _songs,
        song=False,
        hold=15,
        recovery=60,
    ),
    Fault(
        "sound-rate",
        "the sound changes to 48 kHz, one channel, and back after 15 s",
        partial(_sound, "rate"),
        _songs,
        song=False,
        hold=15,
        recovery=60,
    ),
    Fault(
        "picture-frozen",
        "the publisher is given the same two seconds of picture again and again, until the alert",
        _freeze,
        _thaw,
        _put_freezer,
        _take_freezer,
        hold=15,
        alert="PictureFrozen",
    ),
    Fault(
        "picture-black",
        "a loop that is all black is shown until the alert",
        _show_black,
        _release,
        _put_loop,
        _remove_loop,
        song=False,
        hold=10,
        alert="PictureBlack",
    ),
    Fault(
        "loops-deleted",
        "every file of the operator's loops deleted, put back after 10 s",
        _delete_loops,
        _return_loops,
        hold=10,
    ),
    Fault(
        "loop-damaged",
        "the file of the loop on the air overwritten with rubbish, put back after 10 s",
        _damage_loop,
        _mend_loop,
        hold=10,
    ),
)
