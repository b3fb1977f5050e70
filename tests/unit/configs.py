"""Configurations for tests, as an operator would write them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hook_service import config
from hook_service.config import ConfigError, Host

DEMO = "stations.demo"


def whole() -> dict[str, Any]:
    """A configuration in which everything is said."""
    return {
        "paths": {
            "loops": "/srv/loops",
            "library": "/var/lib/radio/library",
            "state": "/var/lib/radio",
            "run": "/run/radio",
            "log": "/var/log/radio/app.log",
            "credentials": "/etc/radio/credentials",
        },
        "database": {"dsn": "host=127.0.0.1 dbname=radio user=radio", "history_days": 400, "error_days": 90},
        "web": {
            "listen": "127.0.0.1:9000",
            "threads": 8,
            "trusted_proxies": 1,
            "failed_per_minute": 30,
            "prometheus": "http://127.0.0.1:9090",
            "alertmanager": "http://127.0.0.1:9093",
        },
        "webhook": {"user": "azuracast"},
        "relay": {"rtmp": "127.0.0.1:1935", "stat": "127.0.0.1:8080"},
        "profiles": {
            "square": {"width": 720, "height": 720, "fps": "30000/1001", "video_kbps": 2500, "audio_kbps": 128}
        },
        "stations": {
            "demo": {
                "name": "Demo FM",
                "profile": "square",
                "timezone": "Europe/Berlin",
                "audio": {"url": "http://127.0.0.1:8000/radio.mp3", "fallback": "fallback.mp3"},
                "default_loop": "default.mp4",
                "dayparts": [{"from": "22:00", "to": "06:00", "loop": "night/night.mp4"}],
                "switch_delay": 3.0,
                "fade_in": 0.5,
                "azuracast": {"url": "https://radio.example", "shortcode": "demo"},
                "policies": {
                    "offline": "slate",
                    "live": "live.mp4",
                    "djs": {"DJ One": "djs/one.mp4"},
                    "jingles": {"playlists": ["Jingles"], "show": "hold"},
                },
                "destinations": {
                    "youtube": {"url": "rtmps://a.rtmps.youtube.com/live2"},
                    "backup": {"url": "rtmps://b.rtmps.youtube.com/live2?backup=1", "backup_of": "youtube"},
                    "srt": {"url": "srt://ingest.example:9000"},
                },
            }
        },
    }


def put(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set `a.b.0.c` to a value."""
    *parents, last = key.split(".")
    at: Any = raw
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
    at[last] = value


def dump(raw: dict[str, Any]) -> str:
    """As a file's text."""
    return yaml.safe_dump(raw, sort_keys=False)


def problems(path: Path, text: str) -> list[str]:
    """What is said to be wrong with such a file, a line each."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert caught.value.path == path
    assert str(caught.value).splitlines() == [f"{path}: {problem}" for problem in caught.value.problems]
    return caught.value.problems


def loaded(path: Path, raw: dict[str, Any]) -> Host:
    """What such a file is read as."""
    path.write_text(dump(raw))
    return config.load(path)
