"""What is shown when there is no plain track: the station is offline, a DJ is live, a jingle plays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from .loops import LoopNameError, loop_path
from .nowplaying import TrackEvent
from .resolver import Resolution, Resolver
from .track_key import normalise

SLATE: Final = ""
"""The loop of a resolution that means the slate."""

RULE: Final = "policy"
"""The rule of a resolution that a policy made."""


@dataclass(frozen=True, slots=True)
class Policies:
    """Each is "hold", "track", "default", "slate" or the name of a loop; see `hook_service.config.policies`.

    Names of DJs and playlists are normalised.
    """

    offline: str = "hold"
    live: str = "track"
    djs: Mapping[str, str] = field(default_factory=dict)
    jingle_playlists: frozenset[str] = frozenset()
    jingles: str = "hold"

    def choice(self, event: TrackEvent) -> str:
        """What is to be shown for an event: "track" where no policy speaks."""
        if not event.online:
            return self.offline
        if event.is_live:
            return self.djs.get(normalise(event.streamer), self.live)
        if event.playlist and normalise(event.playlist) in self.jingle_playlists:
            return self.jingles
        return "track"


def resolve(resolver: Resolver, policies: Policies, event: TrackEvent, at: datetime) -> Resolution | None:
    """The loop for an event, by policy or by the resolver's rules; None where the loop on the air stays."""
    choice = policies.choice(event)
    if choice == "hold":
        return None
    if choice == "track":
        return resolver.resolve(event, at)
    default = resolver.default_loop(event.station, at)
    if choice in ("default", "slate"):
        return Resolution(default if choice == "default" else SLATE, RULE, None, default)
    try:
        return Resolution(loop_path(resolver.loops_dir, choice), RULE, None, default)
    except LoopNameError as reason:
        return Resolution(default, RULE, None, default, (f"{RULE}: the loop {choice[:200]!r} {reason}",))


def is_known(resolver: Resolver, policies: Policies, event: TrackEvent) -> bool:
    """Whether an event leads to more than a default: a mapping, or a policy."""
    return policies.choice(event) != "track" or resolver.resolve(event).rule not in ("time_of_day", "default")
