"""The files beside the configuration: what they say, and what is missing or can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import conninfo

from hook_service import check_config
from hook_service.config import Host, missing_credentials
from tests.unit.configs import DEMO, dump, loaded, put, whole


class TestSecrets:
    @pytest.fixture
    def credentials(self, tmp_path: Path) -> Path:
        directory = tmp_path / "credentials"
        directory.mkdir()
        return directory

    @pytest.fixture
    def host(self, path: Path, credentials: Path) -> Host:
        raw = whole()
        put(raw, "paths.credentials", str(credentials))
        return loaded(path, raw)

    @pytest.mark.parametrize(
        ("content", "secret"),
        [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" s p \n", " s p "),
            ("\n", None),
            ("", None),
        ],
    )
    def test_the_text_of_a_file(self, host: Host, credentials: Path, content: str, secret: str | None) -> None:
        (credentials / "api-token").write_bytes(content.encode())
        assert host.secret("api-token") == secret

    def test_none_without_a_file_or_a_directory(self, host: Host, credentials: Path) -> None:
        assert host.secret("api-token") is None
        credentials.rmdir()
        assert host.secret("api-token") is None

    def test_systemds_directory_wins(
        self, host: Host, credentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (credentials / "api-token").write_text("file")
        systemd = tmp_path / "systemd"
        systemd.mkdir()
        (systemd / "api-token").write_text("systemd")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(systemd))
        assert host.secret("api-token") == "systemd"
        assert host.credentials == systemd

    @pytest.mark.parametrize("password", ["simple", "with 'quote'", "back\\slash", "spa ce=x", "ünï"])
    def test_the_databases_password_is_quoted(self, host: Host, credentials: Path, password: str) -> None:
        assert "password" not in host.dsn()
        (credentials / "database-password").write_text(password + "\n")
        assert conninfo.conninfo_to_dict(host.dsn())["password"] == password
        assert conninfo.conninfo_to_dict(host.dsn())["dbname"] == "radio"

    def test_azuracasts_key_is_optional_but_must_be_readable(self, host: Host, credentials: Path) -> None:
        assert not any("azuracast-key" in line for line in missing_credentials(host))
        (credentials / "demo.azuracast-key").write_bytes(b"\xff")
        for lines in (missing_credentials(host), missing_credentials(host, keys=False)):
            [line] = [line for line in lines if "azuracast-key" in line]
            assert "can't be read" in line

    def test_an_authorisation_must_be_there_and_usable(self, path: Path, credentials: Path) -> None:
        raw = whole()
        put(raw, "paths.credentials", str(credentials))
        put(raw, f"{DEMO}.destinations.youtube.youtube", {"stream": "Ab-1"})
        host = loaded(path, raw)

        def said() -> list[list[str]]:
            every = (missing_credentials(host), missing_credentials(host, keys=False))
            return [[line for line in lines if ".youtube" in line and ".key" not in line] for lines in every]

        place = credentials / "demo.youtube.youtube"
        missing = (
            f"stations.demo.destinations.youtube.youtube: no authorisation; make {place} with hook_service.youtube."
        )
        assert said() == [[f"{missing}authorise"]] * 2
        place.write_bytes(b"\xff")
        assert all(str(place) in line for [line] in said())
        place.write_text('{"client_id": "a", "client_secret": "s3cret"}')
        assert all("no usable refresh_token" in line and "s3cret" not in line for [line] in said())
        place.write_text('{"client_id": "a", "client_secret": "s3cret", "refresh_token": "1//t"}')
        assert said() == [[], []]

    def test_what_is_missing_is_said_with_its_file(self, host: Host, credentials: Path) -> None:
        lines = missing_credentials(host)
        assert missing_credentials(host, keys=False) == lines[:2], "a stream key is nothing that the web is given"
        assert len(lines) == 4
        assert "webhook-password, webhook-secret, webhook-token" in lines[0]
        assert "api-token" in lines[1]
        assert lines[2].startswith("stations.demo.destinations.youtube: no stream key")
        assert str(credentials / "demo.youtube.key") in lines[2]
        assert "demo.backup.key" in lines[3]
        for name in ("webhook-secret", "api-token", "demo.youtube.key", "demo.backup.key"):
            (credentials / name).write_text("x")
        assert missing_credentials(host) == []


class TestUnreadable:
    def test_a_uri_and_a_password(self, path: Path, tmp_path: Path) -> None:
        raw = whole()
        put(raw, "database.dsn", "postgresql://radio@127.0.0.1/radio")
        put(raw, "paths.credentials", str(tmp_path))
        (tmp_path / "database-password").write_text("p@ss")
        values = conninfo.conninfo_to_dict(loaded(path, raw).dsn())
        assert (values["password"], values["dbname"]) == ("p@ss", "radio")

    @pytest.mark.parametrize(("kind", "why"), [("bytes", "it is not UTF-8"), ("directory", "Is a directory")])
    @pytest.mark.parametrize("name", ["api-token", "webhook-secret", "database-password", "demo.youtube.key"])
    def test_a_credential_that_cannot_be_read(
        self, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str, why: str
    ) -> None:
        raw = whole()
        put(raw, "paths.credentials", str(tmp_path))
        path.write_text(dump(raw))
        for each in ("api-token", "webhook-token", "demo.youtube.key", "demo.backup.key"):
            (tmp_path / each).write_text("s3cret")
        assert check_config.main(["--config", str(path)]) == 0
        (tmp_path / name).unlink(missing_ok=True)
        if kind == "bytes":
            (tmp_path / name).write_bytes(b"\xff\xfes3cret")
        else:
            (tmp_path / name).mkdir()
        capsys.readouterr()
        assert check_config.main(["--config", str(path)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"{path}: the credential {tmp_path / name} can't be read ({why}); mend or replace it\n"

    @pytest.mark.parametrize("kind", ["bytes", "directory"])
    def test_a_key_that_cannot_be_read_for_the_plan(self, path: Path, tmp_path: Path, kind: str) -> None:
        raw = whole()
        put(raw, "paths.credentials", str(tmp_path))
        path.write_text(dump(raw))
        if kind == "bytes":
            (tmp_path / "demo.youtube.key").write_bytes(b"\xff\xfe")
        else:
            (tmp_path / "demo.youtube.key").mkdir()
        assert check_config.main(["--config", str(path), "--plan", "demo"]) == 1
