"""radio-prepare as a process, with and without its database."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hook_service import ipc
from hook_service.library.flv import one_gop
from hook_service.library.loopfile import GrowingLoop, LoopDamaged, open_loop
from tests.integration.library.studio import X264, ffmpegs_of, leftovers, make, until
from tests.rig.net import free_port
from tests.rig.postgres import PrivatePostgres


class Running:
    """radio-prepare as a process of its own."""

    def __init__(self, directory: Path, dsn: str = "host=127.0.0.1 port=1 dbname=radio user=radio") -> None:
        self.loops, self.library, self.socket = directory / "loops", directory / "library", directory / "prepare.sock"
        self.loops.mkdir(exist_ok=True)
        paths = {name: str(directory / name) for name in ("loops", "library", "state", "credentials")}
        station = {
            "profile": "small",
            "audio": {"url": "http://127.0.0.1:8000/x", "fallback": "fallback.mp3"},
            "default_loop": "default.mp4",
        }
        config = {
            "paths": paths | {"run": str(directory), "log": str(directory / "app.log")},
            "database": {"dsn": dsn},
            "profiles": {"small": {"width": 320, "height": 180, "fps": "30", "video_kbps": 400}},
            "stations": {"demo": {**station}},
        }
        self.config = directory / "radio.yml"
        self.config.write_text(json.dumps(config))
        self.output = directory / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "hook_service.library.service", "--config", str(self.config)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        until(lambda: self.socket.exists() and self.status(), 20, "the socket")

    def status(self) -> dict[str, Any] | None:
        try:
            return ipc.request(self.socket, {"op": "status"}, timeout=5)
        except ipc.PeerDown:
            return None

    def states(self) -> dict[str, str]:
        answer = ipc.request(self.socket, {"op": "loops"}, timeout=5)
        return {Path(entry["path"]).name: entry["state"] for entry in answer["loops"]}

    def ask(self, **message: Any) -> list[dict[str, Any]]:
        answers = []
        for answer in ipc.stream(self.socket, message, timeout=60):
            answers.append(answer)
            if answer.get("state") != "encoding":
                break
        return answers

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(15)
        self.process = None
        assert code == (0 if number == signal.SIGTERM else -number), self.output.read_text()[-2000:]
        return time.monotonic() - begun


@pytest.fixture
def running(run_dir: Path) -> Iterator[Running]:
    service = Running(run_dir)
    yield service
    if service.process is not None:
        service.process.kill()
        service.process.wait(10)


class TestService:
    def test_without_a_database(self, running: Running) -> None:
        make(running.loops / "fallback.mp3", "sine=d=1")
        make(running.loops / "default.mp4", "testsrc2=s=320x180:r=30:d=1", *X264)
        (running.loops / "bad.mp4").write_text("this is text")
        (running.loops / os.fsdecode(b"\xff.mp4")).write_text("this, too")
        running.start()
        new = make(running.loops / "new.mp4", "testsrc2=s=320x180:r=30:d=2", *X264)
        answers = running.ask(op="prepare", path=str(new), profile="small")
        assert [answer["state"] for answer in answers][-1] == "ready"
        assert open_loop(Path(answers[-1]["dir"])).frames == 60
        refused = running.ask(op="prepare", path=str(running.loops / "bad.mp4"), profile="small")[-1]
        assert refused == {"state": "refused", "reason": "not a video: this is text", "again": False}
        for wrong in (
            {"path": "/etc/passwd", "profile": "small"},
            {"path": str(new), "profile": "1080p30"},
            {"path": str(new), "profile": "small", "fade_in": 0.5},
            {"path": str(new), "profile": "small", "fingerprint": "ab"},
            {"path": 5, "profile": "small"},
            {"path": str(running.loops / "none.mp4"), "profile": "small"},
        ):
            assert running.ask(op="prepare", **wrong)[-1]["state"] == "refused"
        self._crossfade(running, answers[-1]["dir"])
        assert running.ask(op="what")[-1]["state"] == "refused"
        file = running.ask(op="audio", path=str(running.loops / "fallback.mp3"), kbps=192)[-1]["file"]
        assert Path(file).stat().st_size > 5_000
        expected = {"default.mp4": "ready", "bad.mp4": "refused", "new.mp4": "ready", "\\xff.mp4": "refused"}
        until(lambda: running.states() == expected, 60, "everything is decided")
        status = running.status()
        assert status is not None
        assert (status["prepared"], status["refused"], status["queued"]) == (2, 2, 0)
        assert status["database"] == "down"
        assert running.ask(op="retry", path=str(running.loops / "bad.mp4"))[-1] == {"state": "ready"}
        assert running.end() < 5
        assert not running.socket.exists()

    def _crossfade(self, running: Running, loop: str) -> None:
        asked = {
            "op": "crossfade",
            "profile": "small",
            "fingerprint": Path(loop).parent.name,
            "from": loop,
            "to": loop,
        }
        good = asked | {"frame": 7, "within": 30}
        answer = running.ask(**good)[-1]
        assert len(one_gop(Path(answer["file"]).read_bytes())[1]) == 60
        for wrong in (
            {"from": "/etc"},
            {"to": f"{running.library}/../loops"},
            {"to": 5},
            {"to": "\0"},
            {"frame": 60},
            {"frame": True},
            {"frame": "7"},
            {"within": 0},
            {"within": 1e9},
            {"within": None},
            {"fingerprint": None},
            {"profile": "other"},
        ):
            assert [each["state"] for each in running.ask(**(good | wrong))] == ["refused"], wrong

    def test_killed_half_way_and_started_again(self, running: Running) -> None:
        path = make(running.loops / "default.mp4", "testsrc2=s=1280x720:r=30:d=40", *X264)
        running.start()
        stream = ipc.stream(running.socket, {"op": "prepare", "path": str(path), "profile": "small"}, timeout=60)
        partial = Path(next(iter(stream))["dir"])
        loop = GrowingLoop(partial)
        until(lambda: loop.read_gop(1), 30, "some of the loop")
        assert ffmpegs_of(running.library)
        running.end(signal.SIGKILL)
        until(lambda: not ffmpegs_of(running.library), 5, "its FFmpeg is gone, too")
        with pytest.raises(LoopDamaged):
            open_loop(partial)
        with pytest.raises(LoopDamaged):
            open_loop(loop.final)
        running.start()
        until(lambda: loop.abandoned, 10, "what was left is cleaned away")
        until(lambda: running.states().get("default.mp4") == "ready", 90, "the loop after all")
        assert open_loop(loop.final).frames == 1200
        assert not leftovers(running.library)

    def test_stopped_while_encoding(self, running: Running) -> None:
        path = make(running.loops / "default.mp4", "testsrc2=s=1280x720:r=30:d=40", *X264)
        running.start()
        stream = ipc.stream(running.socket, {"op": "prepare", "path": str(path), "profile": "small"}, timeout=60)
        assert next(iter(stream))["state"] == "encoding"
        assert running.end() < 5
        assert not ffmpegs_of(running.library)
        assert not leftovers(running.library)

    def test_with_a_database_that_comes_and_goes(self, run_dir: Path) -> None:
        port = free_port()
        postgres = PrivatePostgres(run_dir / "pg", port=port)
        postgres.create()
        service = Running(run_dir, postgres.dsn)
        try:
            postgres.start()
            apply = (
                "import sys, procrastinate as p; a = p.App(connector=p.SyncPsycopgConnector(conninfo=sys.argv[1]))\n"
            )
            apply += "with a.open(): a.schema_manager.apply_schema()"
            subprocess.run([sys.executable, "-c", apply, postgres.dsn], check=True, timeout=60)
            make(service.loops / "default.mp4", "testsrc2=s=320x180:r=30:d=1", *X264)
            service.start()
            until(lambda: (service.status() or {}).get("database") == "up", 30, "the queue")
            until(lambda: service.states().get("default.mp4") == "ready", 60, "the first loop")
            make(service.loops / "second.mp4", "testsrc2=s=320x180:r=30:d=2", *X264)
            until(lambda: service.states().get("second.mp4") == "ready", 60, "a loop from the queue")
            with psycopg.connect(postgres.full_dsn) as connection:
                row = connection.execute("SELECT last_value FROM procrastinate_jobs_id_seq").fetchone()
            assert row is not None
            assert row[0] >= 1, "it did not come from the queue"
            postgres.stop()
            make(service.loops / "third.mp4", "testsrc2=s=320x180:r=25:d=1", *X264)
            until(lambda: service.states().get("third.mp4") == "ready", 90, "a loop without the database")
            until(lambda: (service.status() or {}).get("database") == "down", 30, "the queue is known to be away")
            postgres.start()
            until(lambda: (service.status() or {}).get("database") == "up", 60, "the queue again")
            make(service.loops / "fourth.mp4", "testsrc2=s=320x180:r=24:d=1", *X264)
            until(lambda: service.states().get("fourth.mp4") == "ready", 60, "a loop from the queue again")
            assert service.end() < 6
        finally:
            if service.process is not None:
                service.process.kill()
                service.process.wait(10)
            postgres.stop()
