"""The releases that the role hook_service makes, and what it takes for outdated."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from ansible.errors import AnsibleFilterError  # type: ignore[import-untyped]
from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]
from ansible.template import Templar, trust_as_template  # type: ignore[import-untyped]
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from werkzeug.security import check_password_hash

from hook_service.config.users import parse

REPOSITORY = Path(__file__).parents[3]
ROLE = REPOSITORY / "roles/hook_service"
RELEASES = "/opt/radio/releases"


def plugin(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROLE / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = plugin("lookup_plugins/radio_release.py")
services = plugin("library/radio_state.py")
users = plugin("filter_plugins/radio_users.py")
sums = plugin("../../playbooks/filter_plugins/sums.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("hook_service", "sql", "templates"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_same_content_is_the_same_release_and_the_same_archive(checkout: Path) -> None:
    name, version, files = release.contents(checkout, RELEASES)
    assert name.startswith(f"{version}-")
    packed = release.archive(files)
    for path in checkout.rglob("*"):
        os.utime(path, (0, 0))
    (checkout / "hook_service/__pycache__").mkdir()
    (checkout / "hook_service/__pycache__/config.cpython-313.pyc").write_bytes(b"x")
    (checkout / "sql/.0001.tables.sql.swp").write_bytes(b"x")
    again, _, same = release.contents(checkout, RELEASES)
    assert again == name
    assert release.archive(same) == packed


@pytest.mark.parametrize(
    "path", ["hook_service/config/host.py", "sql/0001.tables.sql", "templates/cards/band.svg.j2"]
)
def test_other_content_is_another_release(checkout: Path, path: str) -> None:
    before = release.contents(checkout, RELEASES)[0]
    with (checkout / path).open("a") as file:
        file.write("\n# changed\n")
    assert release.contents(checkout, RELEASES)[0] != before


def test_an_archive_holds_the_package_its_migrations_and_its_programs(checkout: Path) -> None:
    name, _, files = release.contents(checkout, RELEASES)
    with tarfile.open(fileobj=io.BytesIO(release.archive(files))) as archive:
        members = {member.name: member for member in archive}
        assert {"src/hook_service/library/assets/slate.png", "src/sql/0001.tables.sql"} <= set(members)
        assert "src/templates/cards/band.svg.j2" in members
        assert {member.uid for member in members.values()} == {0}
        program = members["venv/bin/radio-web"]
        assert program.mode == 0o755
        file = archive.extractfile(program)
        assert file is not None
        assert file.read().startswith(f"#!{RELEASES}/{name}/venv/bin/python\n".encode())


def test_the_command_line_of_the_release_in_use_runs_and_compiles_nothing(tmp_path: Path) -> None:
    current = tmp_path / "current"
    (current / "venv/bin").mkdir(parents=True)
    (current / "venv/bin/python").symlink_to(sys.executable)
    _, _, files = release.contents(REPOSITORY, str(tmp_path))
    program = current / "venv/bin/radioctl"
    text = files["venv/bin/radioctl"][0].decode()
    program.write_text(text.replace(text.splitlines()[0], f"#!{sys.executable}", 1))
    program.chmod(0o755)
    wrapper = tmp_path / "radioctl"
    template = trust_as_template((ROLE / "templates/radioctl.j2").read_text())
    wrapper.write_text(
        Templar(DataLoader(), {"ansible_managed": "", "__hook_service_current": current}).template(template)
    )
    wrapper.chmod(0o755)
    shutil.copytree(
        REPOSITORY / "hook_service", tmp_path / "src/hook_service", ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def said(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [wrapper, *arguments], env={**environment, **more}, cwd="/", capture_output=True, text=True, check=True
        )
        return done.stdout

    assert "the station" in said("--help")
    assert "complete -o nosort -F _radioctl_completion radioctl" in said(_RADIOCTL_COMPLETE="bash_source")
    assert not list((tmp_path / "src").rglob("__pycache__"))
    assert (current / "pycache").is_dir()


def test_a_checkout_without_the_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="holds no hook_service"):
        release.contents(tmp_path, RELEASES)


def test_a_process_is_known_by_the_interpreter_of_its_release(tmp_path: Path) -> None:
    program = tmp_path / "1.0.0-abc/venv/bin/python"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        try:
            while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
                time.sleep(0.01)
            assert services.release_of(process.pid, str(tmp_path)) == "1.0.0-abc"
            assert services.release_of(process.pid, "/elsewhere") is None
        finally:
            process.kill()
    assert services.release_of(2**22 + 1, str(tmp_path)) is None


def test_only_what_is_newer_than_the_process_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "station.conf"
    file.touch()
    now = datetime.fromtimestamp(time.time(), UTC)
    assert services.changed_since([str(file)], now - timedelta(seconds=5))
    assert not services.changed_since([str(file), str(tmp_path / "gone")], now + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("database", "stations", "youtube", "prometheus", "closed"),
    [
        ("127.0.0.1", {"demo": {}}, {}, "", True),
        ("127.0.0.1", {"demo": {"azuracast": None}}, {}, "http://127.0.0.1:9090", True),
        ("127.0.0.1", {"demo": {}, "jazz": {"azuracast": {"url": "https://radio.example.org"}}}, {}, "", False),
        ("127.0.0.1", {"demo": {}}, {"demo": {"tube": {}}}, "", False),
        ("127.0.0.1", {"demo": {"card": {"template": "band"}}}, {}, "", False),
        ("127.0.0.1", {"demo": {}}, {}, "http://10.0.0.31:9090", False),
        ("10.0.0.21", {"demo": {}}, {}, "", False),
    ],
)
def test_radio_web_reaches_other_hosts_only_where_it_has_to(
    database: str, stations: dict[str, object], youtube: dict[str, object], prometheus: str, closed: bool
) -> None:
    environment = Environment(
        loader=FileSystemLoader(ROLE / "templates"), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    unit = environment.get_template("radio-web.service.j2").render(
        ansible_managed="",
        hook_service_database_host=database,
        hook_service_stations=stations,
        hook_service_youtube_credentials=youtube,
        hook_service_prometheus_url=prometheus,
        hook_service_alertmanager_url="http://127.0.0.1:9093",
        __hook_service_current="/opt/radio/current",
        __hook_service_credentials="/etc/radio/credentials",
        __hook_service_web_secrets=["api-token", "jazz.azuracast-key"],
    )
    assert ("IPAddressDeny=any" in unit.splitlines()) is closed
    assert "LoadCredential=jazz.azuracast-key:/etc/radio/credentials/jazz.azuracast-key" in unit.splitlines()
    assert "SystemCallFilter=~@privileged @resources" in unit.splitlines()


def test_of_what_is_found_files_have_a_mode_and_a_sum_and_directories_none() -> None:
    found = [{"path": "/etc/radio", "mode": "0755"}, {"path": "/etc/radio/a", "mode": "0600", "checksum": "3f78"}]
    assert sums.sums({"files": found}) == {"/etc/radio/a": "0600 3f78"}
    assert sums.sums({"files": []}) == {}
    assert sums.sums({"skipped": True}) == {}


def test_the_service_takes_what_the_role_makes_of_users() -> None:
    given = {"ada": {"role": "operator", "password": "Käse & 12 Löcher"}, "Ben": {"role": "viewer", "password": "1"}}
    made = users.radio_users(given, "key")
    assert users.radio_users(given, "key") == made
    assert users.radio_users(given, "another")["ada"]["password"] != made["ada"]["password"]
    found = parse(yaml.safe_dump(made))
    assert {name: user.role for name, user in found.items()} == {"ada": "operator", "Ben": "viewer"}
    assert check_password_hash(found["ada"].password, "Käse & 12 Löcher")
    assert not check_password_hash(found["ada"].password, "Kase & 12 Locher")


def test_users_without_a_session_key_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="hook_service_session_key is empty"):
        users.radio_users({}, "")


def station_conf(**destination: object) -> str:
    variables = {
        "ansible_managed": "",
        "item": "radio-output@demo",
        "hook_service_stations": {"demo": {"destinations": {"tube": destination}}},
        "hook_service_stream_keys": {"demo": {"tube": "key"}},
        "__hook_service_credentials": "/etc/radio/credentials",
    }
    template = trust_as_template((ROLE / "templates/station.conf.j2").read_text())
    return str(Templar(DataLoader(), variables).template(template))


def test_asking_youtube_about_a_destination_does_not_interrupt_it() -> None:
    asked = {"youtube": {"stream": "Ab-1", "rebind": True}}
    assert station_conf(url="rtmp://a/live2", **asked) == station_conf(url="rtmp://a/live2")
    assert station_conf(url="rtmp://b/live2", **asked) != station_conf(url="rtmp://a/live2")
