"""The loops directory, with how far the preparation of each file is."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hook_service import ipc
from hook_service.config import Host
from hook_service.library import catalog
from hook_service.library.profiles import Profile
from hook_service.library.scanner import SUFFIXES


def listing(host: Host, after: str, limit: int) -> dict[str, Any]:
    """A page of the media files below `paths.loops`, ordered by name, those that come after the name `after`."""
    profiles = {name: host.station_profile(name) for name in host.stations}
    names = sorted(name for name in _names(host.paths.loops) if name > after)
    items = [item for name in names[:limit] if (item := _item(host, name, profiles)) is not None]
    return {
        "items": items,
        "next": names[limit - 1] if len(names) > limit else None,
        "preparation": preparation(host.paths.run),
    }


def preparation(run: Path) -> dict[str, Any] | None:
    """What the preparation tells of itself: queued, encoding, prepared, refused. None where it is away."""
    try:
        return ipc.request(run / "prepare.sock", {"op": "status"}, timeout=0.5)
    except ipc.PeerDown:
        return None


def _names(loops: Path) -> list[str]:
    found = []
    for directory, below, files in os.walk(loops):
        below[:] = [name for name in below if not name.startswith(".")]
        base = Path(directory).relative_to(loops)
        found += [str(base / name) for name in files if Path(name).suffix.lower() in SUFFIXES and name[0] != "."]
    return found


def _item(host: Host, name: str, profiles: dict[str, Profile]) -> dict[str, Any] | None:
    path = host.paths.loops / name
    try:
        stat = path.stat()
    except OSError:
        return None  # removed since it was listed
    library = host.paths.library
    source = catalog.recall(path, library)
    refusal = catalog.refusal(library, source.sha256) if source else None
    states = {}
    for profile in profiles.values():
        if refusal is not None:
            state = "refused"
        elif source is None:
            state = "pending"
        else:
            prepared = catalog.prepared_dir(library, profile, source.sha256)
            partial = prepared.with_name(prepared.name + ".partial")
            state = "prepared" if prepared.is_dir() else "encoding" if partial.is_dir() else "pending"
        states[profile.name] = state
    return {
        "name": name,
        "size": stat.st_size,
        "modified_at": datetime.fromtimestamp(stat.st_mtime, UTC),
        "profiles": states,
        "reason": refusal,
    }
