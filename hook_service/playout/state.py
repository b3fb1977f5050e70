"""What survives a restart: where the timeline was, which loop was on the air, which destinations were stopped.

The timeline's anchor lies in the run directory: it means something until the host reboots, and is renewed every
second. The rest lies in the state directory and survives a reboot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hook_service.playout.timeline import NS
from hook_service.playout.wardrobe import card_of

# The anchor is at most a second old and the rate may have been off by 500 ppm: this is far more, so that a restarted
# timeline never steps back.
_MARGIN_NS = NS // 20


@dataclass(frozen=True, slots=True)
class Anchor:
    """Position `position` (ns) of the timeline was on the air at `monotonic` (ns); its line had this key and base."""

    position: int
    monotonic: int
    relay_key: str
    base: int

    def position_at(self, monotonic: int) -> int:
        """Where a timeline that simply went on would be, and a little more."""
        return self.position + max(0, monotonic - self.monotonic) + _MARGIN_NS


@dataclass(slots=True)
class OnAir:
    """The loop that was asked for last, and the default that was valid then."""

    loop: str
    default: str
    play_id: str | None
    request_id: str | None = None
    """The request that it goes back to, for the log."""
    card: dict[str, Any] | None = None
    """The card that it is to be shown with; may become another while it is shown."""


def save_anchor(path: Path, anchor: Anchor) -> None:
    """Keep the anchor; what can't be kept costs a session at a restart, never the broadcast."""
    _save(path, {"boot": _boot_id(), **asdict(anchor)})


def load_anchor(path: Path) -> Anchor | None:
    """The anchor of a playout that ran since this host booted, or None."""
    raw = _load(path)
    if raw is None or raw.pop("boot", None) != _boot_id():
        return None
    try:
        anchor = Anchor(**raw)
    except TypeError:
        return None
    numbers = (anchor.position, anchor.monotonic, anchor.base)
    sound = all(type(n) is int for n in numbers) and isinstance(anchor.relay_key, str)
    # A line's time begins when it does, not later.
    return anchor if sound and anchor.position >= 0 and anchor.base * 1_000_000 <= anchor.position else None


def save_on_air(path: Path, on_air: OnAir) -> None:
    """Keep what is on the air."""
    _save(path, asdict(on_air))


def load_on_air(path: Path) -> OnAir | None:
    """What was on the air, or None."""
    raw = _load(path) or {}
    # What a later version adds is left out: a rollback must not cost the loop on the air.
    known = {field.name: raw[field.name] for field in fields(OnAir) if field.name in raw}
    try:
        on_air = OnAir(**known)
    except TypeError:
        return None
    if not (isinstance(on_air.loop, str) and isinstance(on_air.default, str)):
        return None
    try:
        on_air.card = card_of(on_air.card)
    except ValueError:
        on_air.card = None
    ids = (on_air.play_id, on_air.request_id)
    return on_air if all(value is None or isinstance(value, str) for value in ids) else None


def save_names(path: Path, names: Collection[str]) -> bool:
    """Keep a set of names; whether it could be kept."""
    return _save(path, {"names": sorted(names)})


def load_names(path: Path) -> frozenset[str]:
    """The set of names; an empty one where there is none."""
    names = (_load(path) or {}).get("names")
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def _save(path: Path, value: dict[str, Any]) -> bool:
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps(value), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return False
    return True


def _load(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(os.getsid(0))
