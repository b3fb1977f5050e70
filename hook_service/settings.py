"""What one station's playout and outputs run on: plain values, already validated.

These processes run for months and hold as little memory as they can, so the validation (pydantic, 10 MB)
happens in a short-lived process: `hook_service.check_config --plan STATION`, whose answer is read here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hook_service.library.profiles import Profile


@dataclass(frozen=True, slots=True)
class Destination:
    """A platform's ingest: its address without the key, and the key."""

    name: str
    url: str
    key: str | None = field(repr=False)
    backup_of: str | None


@dataclass(frozen=True, slots=True)
class Station:
    """One station on this host."""

    shortcode: str
    profile: Profile
    audio_url: str
    audio_fallback: Path | None
    default_loop: Path
    loops: Path
    library: Path
    state: Path
    run: Path
    log: Path
    relay_rtmp: str
    relay_stat: str
    destinations: tuple[Destination, ...]
    crossfade: bool = False
    """Whether a loop gives way to the next in a crossfade where that can be had in time."""

    def relay_url(self, key: str) -> str:
        """Where the relay is given, and gives, what has this key."""
        return f"rtmp://{self.relay_rtmp}/live/{key}"

    @property
    def playout_socket(self) -> Path:
        """Where the playout takes its orders."""
        return self.run / f"playout-{self.shortcode}.sock"

    @property
    def output_socket(self) -> Path:
        """Where the outputs tell their state."""
        return self.run / f"output-{self.shortcode}.sock"

    @property
    def monitor_socket(self) -> Path:
        """Where the monitor tells what it sees and hears."""
        return self.run / "monitor.sock"

    @property
    def prepare_socket(self) -> Path:
        """Where loops are asked for at once."""
        return self.run / "prepare.sock"


def from_plan(plan: dict[str, Any]) -> Station:
    """The station of a plan, as `hook_service.check_config` writes it."""
    paths = {name: Path(plan[name]) for name in ("default_loop", "loops", "library", "state", "run", "log")}
    return Station(
        shortcode=plan["shortcode"],
        profile=Profile(**plan["profile"]),
        audio_url=plan["audio_url"],
        audio_fallback=Path(plan["audio_fallback"]) if plan["audio_fallback"] else None,
        relay_rtmp=plan["relay_rtmp"],
        relay_stat=plan["relay_stat"],
        crossfade=plan["crossfade"],
        destinations=tuple(Destination(**destination) for destination in plan["destinations"]),
        **paths,
    )


def load(config: Path, shortcode: str) -> Station:
    """The settings of one station; exits with the configuration's own messages where it is wrong."""
    return from_plan(_plan(config, shortcode))


def load_all(config: Path) -> list[Station]:
    """The settings of every station; exits as `load` does."""
    return [from_plan(plan) for plan in _plan(config, "*")]


def _plan(config: Path, which: str) -> Any:
    command = [sys.executable, "-m", "hook_service.check_config", "--config", str(config), "--plan", which]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if answer.returncode != 0:
        raise SystemExit(answer.returncode)
    return json.loads(answer.stdout)
