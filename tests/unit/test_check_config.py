"""`radio-check-config`, and the plan that the playout runs on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hook_service import check_config, config
from hook_service import settings as plain
from tests.unit.configs import dump, put, whole

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path / "radio.yml"


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hook_service.check_config", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestCheckConfig:
    """`radio-check-config`."""

    @pytest.fixture
    def good(self, path: Path, tmp_path: Path) -> Path:
        raw = whole()
        put(raw, "paths.credentials", str(tmp_path))
        path.write_text(dump(raw))
        for name in ("webhook-token", "api-token", "demo.youtube.key", "demo.backup.key"):
            (tmp_path / name).write_text("s3cret\n")
        return path

    def test_good(self, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert check_config.main(["--config", str(good)]) == 0
        out, err = capsys.readouterr()
        assert out == f"{good}: good; stations: demo\n"
        assert err == ""

    def test_a_missing_credential(self, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "demo.backup.key").unlink()
        assert check_config.main(["--config", str(good)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        [line] = err.splitlines()
        assert line.startswith(f"{good}: stations.demo.destinations.backup: no stream key")
        assert "s3cret" not in err

    def test_mistakes_as_a_program(self, path: Path) -> None:
        path.write_text("stations: {}\nwebb: {}\n")
        done = check("--config", str(path))
        assert done.returncode == 1
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 2
        assert all(line.startswith(f"{path}: ") for line in done.stderr.splitlines())
        assert "Traceback" not in done.stderr

    def test_a_station_that_is_none(self, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert check_config.main(["--config", str(good), "--plan", "other"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "has no station 'other'; it has: demo" in err

    def test_the_plan_makes_the_same_station(
        self, good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(ROOT)
        station = plain.load(good, "demo")
        host = config.load(good)
        assert station.shortcode == "demo"
        assert station.profile == host.station_profile("demo")
        assert station.profile.fingerprint() == host.station_profile("demo").fingerprint()
        assert station.audio_url == "http://127.0.0.1:8000/radio.mp3"
        assert station.audio_fallback == Path("/srv/loops/fallback.mp3")
        assert station.default_loop == Path("/srv/loops/default.mp4")
        assert (station.relay_rtmp, station.relay_stat) == ("127.0.0.1:1935", "127.0.0.1:8080")
        assert [(d.name, d.url, d.key, d.backup_of) for d in station.destinations] == [
            ("youtube", "rtmps://a.rtmps.youtube.com/live2", "s3cret", None),
            ("backup", "rtmps://b.rtmps.youtube.com/live2?backup=1", "s3cret", "youtube"),
            ("srt", "srt://ingest.example:9000", None, None),
        ]
        assert station.playout_socket == Path("/run/radio/playout-demo.sock")
        assert station.output_socket == Path("/run/radio/output-demo.sock")
        assert station.prepare_socket == Path("/run/radio/prepare.sock")
        assert "s3cret" not in repr(station), "a key must not come into a log by way of a repr"
        check_config.main(["--config", str(good), "--plan", "demo"])
        assert plain.from_plan(json.loads(capsys.readouterr().out)) == station

    def test_a_station_without_a_fallback(self, path: Path) -> None:
        path.write_text('stations: {demo: {audio: {url: "http://h/m"}}}\n')
        host = config.load(path)
        station = plain.from_plan(json.loads(json.dumps(check_config._plan(host, "demo"))))
        assert station.audio_fallback is None
        assert station.destinations == ()

    def test_a_mistake_ends_the_process_that_wanted_it(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(ROOT)
        path.write_text("stations: {}\n")
        with pytest.raises(SystemExit) as caught:
            plain.load(path, "demo")
        assert caught.value.code == 1
        assert str(path) in capfd.readouterr().err


def test_the_playout_never_imports_the_validation() -> None:
    """pydantic is 10 MB, asyncio 11, the HTTP client 4: the processes of the broadcast do without."""
    program = (
        "import sys\n"
        "import hook_service.playout.main, hook_service.playout.output, hook_service.playout.relay\n"
        "heavy = {'pydantic', 'asyncio', 'yaml', 'http', 'flask', 'psycopg'}\n"
        "heavy |= {'hook_service.config', 'hook_service.web'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
