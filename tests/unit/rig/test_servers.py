"""The real servers of the rig, alone: they come up, do their work, and leave nothing."""

import time
from itertools import pairwise
from pathlib import Path

from tests.rig import media, nginx
from tests.rig.child import Child, find_program, left_behind, private_place, unprivileged
from tests.rig.icecast import Icecast, Rubbish, tone
from tests.rig.net import LOOPBACK, accepts, bindable, free_port, http, wait_until
from tests.rig.platform import Platform
from tests.rig.postgres import PrivatePostgres


def test_postgres_with_a_password(run_dir: Path) -> None:
    place = private_place(run_dir, "postgres", unprivileged("postgres"))
    server = PrivatePostgres(place, password="secret words", durable=True, run_dir=run_dir)
    server.create()
    server.start()
    try:
        assert server.sql("SHOW fsync") == [("on",)]
        assert server.sql("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]
        server.stop("immediate")
        server.start()
        server.pause()
        server.resume()
        assert server.sql("SELECT %s::int + 1", [1]) == [(2,)]
    finally:
        server.remove()
    assert left_behind(run_dir) == {}
    assert bindable(server.port)


def test_icecast_and_its_sources(run_dir: Path) -> None:
    with Icecast(run_dir) as icecast:
        with tone(icecast, "/mono.mp3", rate=22050, channels=1) as source:
            icecast.set_title("/mono.mp3", "Ида — Фиалка")
            wait_until(lambda: "title" in icecast.mounts()["/mono.mp3"], "the title", 5)
            source.pause()
            source.resume()
        assert "/mono.mp3" not in icecast.mounts()
        with Rubbish(icecast, "/rubbish.mp3"):
            assert "/rubbish.mp3" in icecast.mounts()
    assert left_behind(run_dir) == {}
    assert bindable(icecast.port)


def test_the_platform_counts_captures_and_judges(run_dir: Path) -> None:
    loop = media.make(run_dir, "loop.mp4", media.loop_args(media.LOOPS[1], 2))
    with Platform(run_dir) as platform:
        publisher = Child(
            "publisher",
            [
                find_program("ffmpeg"), "-v", "warning", "-re", "-stream_loop", "-1", "-i", str(loop),
                "-f", "lavfi", "-i", "sine=sample_rate=44100", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0",
                "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "flv", f"{platform.url}/key",
            ],
            run_dir=run_dir,
        )  # fmt: skip
        publisher.start()
        platform.wait_for("key")
        with platform.capture("key", run_dir / "capture.flv") as capture:
            time.sleep(3)
            found = capture.finish()
        publisher.stop()
        time.sleep(0.3)
        sessions = platform.sessions("key")
    assert found.seconds > 2
    assert (found.decode_errors, found.non_monotonic, found.codec_changes) == ([], 0, 0)
    assert found.max_video_step <= 34
    assert found.max_audio_step <= 24
    pictures = media.read_pictures(capture.path)
    assert media.runs(pictures) == [("coral", found.video_frames)]
    assert all((b.frame - a.frame) % 60 == 1 for a, b in pairwise(pictures))
    assert len(capture.arrivals) == found.video_frames + found.audio_frames
    assert [(s.refused, s.end is not None) for s in sessions] == [(False, True)]
    assert left_behind(run_dir) == {}


def test_the_relay_is_what_its_template_says(run_dir: Path) -> None:
    rtmp, stat = free_port(), free_port()
    config = run_dir / "relay/relay.conf"
    nginx.render_relay(config, f"{LOOPBACK}:{rtmp}", f"{LOOPBACK}:{stat}")
    relay = Child("relay", [nginx.program(), "-c", str(config)], run_dir=run_dir)
    relay.start_until(lambda: accepts(rtmp) and accepts(stat), 10)
    try:
        assert nginx.streams(stat, "live") == {}
        assert http(f"http://{LOOPBACK}:{stat}/stat")[0] == 200
        assert http(f"http://{LOOPBACK}:{stat}/")[0] == 404
    finally:
        relay.stop()
    assert left_behind(run_dir) == {}
    assert bindable(rtmp)
    assert bindable(stat)
