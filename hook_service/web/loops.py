"""How far the preparation of loops is, as it tells it itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hook_service import ipc


def preparation(run: Path) -> dict[str, Any] | None:
    """What the preparation tells of itself: queued, encoding, prepared, refused. None where it is away."""
    try:
        return ipc.request(run / "prepare.sock", {"op": "status"}, timeout=0.5)
    except ipc.PeerDown:
        return None
