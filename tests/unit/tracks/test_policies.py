from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.policies import SLATE, Policies, is_known, resolve
from hook_service.tracks.resolver import Resolver
from hook_service.tracks.snapshot import MappingRow, Snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RESOLVER = Resolver(Snapshot.build([MappingRow(1, "*", "track", "a - mapped", None, None, "one.mp4")], [], 0.0))
MAPPED, UNMAPPED = "/srv/loops/one.mp4", "/srv/loops/default.mp4"


def event(title: str = "mapped", **more: object) -> TrackEvent:
    return TrackEvent(station="demo", artist="A", title=title, **more)  # type: ignore[arg-type]


def shown(policies: Policies, told: TrackEvent) -> str | None:
    resolution = resolve(RESOLVER, policies, told, NOW)
    return None if resolution is None else resolution.loop


OFFLINE = event(online=False)
LIVE = event(is_live=True, streamer="DJ Ötzi!")
JINGLE = event(playlist="Station IDs")


@pytest.mark.parametrize(
    ("policies", "told", "loop"),
    [
        (Policies(), event(), MAPPED),
        (Policies(), OFFLINE, None),
        (Policies(offline="default"), OFFLINE, UNMAPPED),
        (Policies(offline="slate"), OFFLINE, SLATE),
        (Policies(offline="card.mp4"), OFFLINE, "/srv/loops/card.mp4"),
        (Policies(), LIVE, MAPPED),
        (Policies(live="hold"), LIVE, None),
        (Policies(live="default"), LIVE, UNMAPPED),
        (Policies(live="card.mp4"), LIVE, "/srv/loops/card.mp4"),
        (Policies(live="hold", djs={"dj ötzi": "djs/oetzi.mp4"}), LIVE, "/srv/loops/djs/oetzi.mp4"),
        (Policies(djs={"another": "djs/other.mp4"}), LIVE, MAPPED),
        (Policies(live="hold"), event(), MAPPED),
        (Policies(), JINGLE, MAPPED),
        (Policies(jingle_playlists=frozenset({"station ids"})), JINGLE, None),
        (Policies(jingle_playlists=frozenset({"station ids"}), jingles="track"), JINGLE, MAPPED),
        (Policies(jingle_playlists=frozenset({"station ids"}), jingles="default"), JINGLE, UNMAPPED),
        (Policies(jingle_playlists=frozenset({"station ids"}), jingles="id.mp4"), JINGLE, "/srv/loops/id.mp4"),
        (Policies(jingle_playlists=frozenset({"station ids"})), event(), MAPPED),
    ],
)
def test_each_policy(policies: Policies, told: TrackEvent, loop: str | None) -> None:
    assert shown(policies, told) == loop


def test_a_loop_that_leads_out_of_the_directory() -> None:
    resolution = resolve(RESOLVER, Policies(live="../../etc/passwd.mp4"), LIVE, NOW)
    assert resolution is not None
    assert resolution.loop == UNMAPPED
    assert len(resolution.problems) == 1


def test_what_is_known() -> None:
    assert is_known(RESOLVER, Policies(), event())
    assert not is_known(RESOLVER, Policies(), event("unmapped"))
    assert is_known(RESOLVER, Policies(live="hold"), event("unmapped", is_live=True))
