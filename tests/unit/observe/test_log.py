"""Logs: the shape of a line."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hook_service.observe import log
from tests.unit.observe.logs import Logs, lines, logger, messages


class TestALine:
    def test_its_shape(self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "log" / "app.log"
        logs.setup("radio-web", path)
        before = datetime.now(UTC)
        logger.info("Track %s", "switched", extra={"context": {"artist": "Sigur Rós", "n": 1}})
        logs.stop()
        [line] = lines(path)
        assert list(line) == ["timestamp", "level", "service", "message", "context"]
        assert (line["level"], line["service"], line["message"]) == ("INFO", "radio-web", "Track switched")
        assert line["context"] == {"artist": "Sigur Rós", "n": 1}
        assert isinstance(line["timestamp"], str)
        assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000000+00:00")
        at = datetime.fromisoformat(line["timestamp"])
        assert at.utcoffset() is not None
        assert abs((at - before).total_seconds()) < 5
        assert json.loads(capsys.readouterr().out) == line, "the journal gets the same"

    def test_is_always_one(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        logger.warning("two\nlines\u2028and\r\x00more", extra={"context": {"a\nb": Path("/x\ny")}})
        try:
            json.loads("{")
        except ValueError:
            logger.exception("broke")
        logs.stop()
        raw = path.read_bytes()
        assert raw.count(b"\n") == 2
        first, second = (json.loads(line) for line in raw.split(b"\n")[:2])
        assert first["message"] == "two\nlines\u2028and\r\x00more"
        assert "JSONDecodeError" in second["context"]["exception"]
        assert second["context"]["exception"].startswith("Traceback")

    def test_says_what_was_so_when_it_was_logged(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        loops = ["a"]
        for name in "bcd":
            logger.info("%s", loops)
            loops.append(name)
        logs.stop()
        assert messages(path) == ["['a']", "['a', 'b']", "['a', 'b', 'c']"]

    def test_levels_and_warnings(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path, level="WARNING")
        logger.info("not this")
        logger.error("this")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("a library is old", DeprecationWarning, stacklevel=1)
        logs.stop()
        assert [line["level"] for line in lines(path)] == ["ERROR", "WARNING"]
        assert "a library is old" in str(messages(path)[1])

    def test_no_context_is_an_empty_one(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        logger.error("x", extra={"context": None})
        logs.stop()
        assert lines(path)[0]["context"] == {}

    @pytest.mark.parametrize("rotates", [False, True])
    def test_with_a_name_that_is_no_text(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str], rotates: bool
    ) -> None:
        """A loop's name may be any bytes; Python gives those as lone surrogates."""
        path = tmp_path / "app.log"
        logs.setup("radio", path, rotates=rotates)
        name = os.fsdecode(b"caf\xe9.mp4")
        logger.error("%s can't be shown", name, extra={"context": {"loop": name}})
        logger.error("next")
        logs.stop()
        out, err = capsys.readouterr()
        for first, second in (lines(path), [json.loads(line) for line in out.splitlines()]):
            assert (first["message"], first["context"]) == (f"{name} can't be shown", {"loop": name})
            assert second["message"] == "next"
        assert b"caf\\udce9.mp4" in path.read_bytes()
        assert err == ""

    def test_that_cannot_be_made_costs_only_itself(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        ring: dict[str, object] = {}
        ring["ring"] = ring
        logger.error("%d things", "some")
        logger.error("x", extra={"context": ring})
        logger.error("x", extra={"context": "no mapping"})
        logger.error("next")
        logs.stop()
        assert messages(path) == ["next"]
        assert capsys.readouterr().err == ""

    def test_the_formatter_alone(self) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(log.JsonLines("radio"))
        record = logging.LogRecord("x", logging.DEBUG, "", 0, "100%% of %s", ("it",), None)
        record.created = 1_700_000_000.25
        handler.handle(record)
        assert json.loads(stream.getvalue())["timestamp"] == "2023-11-14T22:13:20.250000+00:00"
        assert json.loads(stream.getvalue())["message"] == "100% of it"
