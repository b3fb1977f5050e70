"""The programme: what was asked to be shown, and what is done about it.

Between the control socket's orders and the picture's slots: loads loops, steps back to the default when one can't
be shown, comes back to it when it can, and says what happened as events.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hook_service.playout import orders, state
from hook_service.playout.control import Message
from hook_service.playout.crossfade import Crossfades
from hook_service.playout.loops import FORETOLD_PATIENCE, Loaded, Loader, Ticket, Unplayable
from hook_service.playout.picture import SLATE, Blend, Cursor, Item, Picture, Reason, Still
from hook_service.playout.reactor import Reactor
from hook_service.playout.wardrobe import Card
from hook_service.settings import Station

_log = logging.getLogger("radio.programme")

# What could not be shown is looked at again this often: an operator mends a file and goes to bed.
_RECOVER_SECONDS = 10.0
_WATCH_EVERY = 2
# A moment later the same time of day may come out as the slot beside the one that a crossfade is made for (ns).
_SAME_SLOT = 50_000_000


class Programme:
    """What is wanted on the air, against what is."""

    def __init__(
        self,
        reactor: Reactor,
        station: Station,
        slate: Still,
        publish: Callable[..., None],
        slot_at: Callable[[float | None], int],
        slots_to: Callable[[int], int],
        publisher_pid: Callable[[], int | None],
        armed: Callable[[], None],
    ) -> None:
        """`publish(kind, **values)` sends an event; `slot_at(unix)` is the timeline's position at a time of day,
        `slots_to(position)` how many pictures are due before it; `armed()` is called when a switch waits for its
        slot.
        """
        self.picture = Picture(slate, self._on_air, self._lost)
        self._slate = slate
        self._reactor = reactor
        self._station = station
        self._publish = publish
        self._slot_at = slot_at
        self._publisher_pid = publisher_pid
        self._armed = armed
        self._loader = Loader(reactor, station, self._waiting)
        self._crossfades = Crossfades(reactor, station, slots_to)
        self._foretold: tuple[Path, float, int] | None = None
        self._state_file = station.state / f"on-air-{station.shortcode}.json"
        self._loaded: dict[Cursor, Loaded] = {}
        self._since = time.time()
        self._shown: Cursor | Still = slate
        self._switches = 0
        self._ticket = Ticket()
        self._instead = Ticket()
        self._default_ticket: Ticket | None = None
        self._pending_play: str | None = None
        self._looking = False
        self._watched = 0
        self._retry_at: float | None = None
        saved = state.load_on_air(self._state_file)
        default = str(station.default_loop)
        self._wanted = saved or state.OnAir(default, default, None)
        self._load_default()
        self._fetch("resumed" if saved else "default", at=0)

    def switch(self, message: Message) -> None:
        """Show another loop: `loop`, `play_id`, `default`, `at` (unix seconds or null) instead of what is due.

        `loop` null shows the slate, until the next switch. `request_id` is what the log is to name. `card` is laid
        over the loop as soon as it is made, which nothing waits for.
        """
        wanted, at = orders.wanted(message, self._station), orders.time(message)
        slot, foretold = self._slot_at(at), self._foretold
        if foretold and foretold[:2] == (Path(wanted.loop), at) and abs(foretold[2] - slot) < _SAME_SLOT:
            slot = foretold[2]
        self._supersede()
        changed_default = wanted.default != self._wanted.default
        self._wanted = wanted
        self._pending_play = wanted.play_id
        self._loader.later(partial(state.save_on_air, self._state_file, self._wanted))
        if changed_default:
            self._load_default()
        self._fetch("switch", at=slot)

    def hold(self) -> str:
        """Stay with what is on the air, whatever waits for its slot; the loop's path, or "slate"."""
        item = self.picture.item
        self._supersede()
        self._retry_at = None
        self._wanted = state.OnAir(item.loop, self._wanted.default, item.play_id, item.request_id)
        self._loader.later(partial(state.save_on_air, self._state_file, self._wanted))
        return item.loop

    def warm(self, message: Message) -> None:
        """Have `loop` prepared before it is due, with its `card`.

        The crossfade to it as well, where it is known when (`at`) that is.
        """
        path, at = orders.path(message, "loop", self._station), orders.time(message)
        card = orders.card(message)
        if at is None:
            self._loader.warm(path, card)
            return
        slot = self._slot_at(at)
        self._foretold = (path, at, slot)
        self._loader.fetch(path, partial(self._foresee, slot), card, patience=FORETOLD_PATIENCE)

    def card(self, message: Message) -> bool:
        """Show what was asked for last with another card, or with none; whether that is still the play `play_id`."""
        card, wanted = orders.card(message), self._wanted
        if message.get("play_id") != wanted.play_id:
            return False
        wanted.card = card
        self._loader.later(partial(state.save_on_air, self._state_file, wanted))
        for item in (self.picture.item, self.picture.next):
            loaded = self._loaded.get(item.cursor) if item is not None and isinstance(item.cursor, Cursor) else None
            if loaded is not None and item is not None and (item.loop, item.play_id) == (wanted.loop, wanted.play_id):
                self._loader.dress(loaded, card)
        return True

    def watch(self) -> None:
        """To be called every second: looks after the loop on the air and what could not be shown."""
        now = time.monotonic()
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._load_default()
            self._fetch("recovered", at=0)
        self._watched += 1
        cursor = self.picture.item.cursor
        loaded = self._loaded.get(cursor) if isinstance(cursor, Cursor) else None
        if loaded is not None and not self._looking and self._watched % _WATCH_EVERY == 0:
            self._looking = True
            self._loader.unchanged(loaded, partial(self._looked, self.picture.item, loaded))

    def status(self) -> dict[str, Any]:
        """`on_air`, `next` and `switches` of the control socket's status."""
        item, following = self.picture.item, self.picture.next
        return {
            "on_air": {
                "loop": item.loop,
                "since": self._since,
                "play_id": item.play_id,
                "reason": item.reason,
                "transition": self._transition(item),
                "preparing": isinstance(item.cursor, Cursor) and item.cursor.growing,
                "card": isinstance(item.cursor, Cursor) and item.cursor.dressed,
            },
            "wanted": {"loop": self._wanted.loop, "default": self._wanted.default},
            "next": {"loop": following.loop, "play_id": following.play_id} if following else None,
            "switches": self._switches,
        }

    def _foresee(self, slot: int, result: Loaded | Unplayable) -> None:
        if isinstance(result, Loaded):
            self._crossfades.order(self.picture.item.cursor, result.cursor, slot)
            self._loader.release(result.cursor)

    def _supersede(self) -> None:
        self._ticket.cancel()
        self._instead.cancel()
        if self._pending_play is not None:
            self._publish("superseded", play_id=self._pending_play)
            self._pending_play = None
        if self.picture.next is not None:
            self._drop(self.picture.next.cursor)
            self.picture.next = None

    def _fetch(self, reason: Reason, at: int) -> None:
        wanted = self._wanted
        if wanted.loop == SLATE:
            if reason != "recovered":  # it can't be lost
                self._reactor.post(partial(self._slate_instead, wanted, reason, at))
            return
        card = wanted.card
        self._ticket = self._loader.fetch(Path(wanted.loop), partial(self._fetched, wanted, card, reason, at), card)

    def _slate_instead(self, wanted: state.OnAir, reason: Reason, at: int) -> None:
        if wanted is self._wanted:
            self._arm(Item(self._slate, SLATE, wanted.play_id, reason, at, wanted.request_id))

    def _fetched(
        self, wanted: state.OnAir, card: Card | None, reason: Reason, at: int, result: Loaded | Unplayable
    ) -> None:
        if isinstance(result, Unplayable):
            self._failed(wanted, reason, str(result), at)
            return
        self._loaded[result.cursor] = result
        if wanted.card != card:
            # It has become known while the loop was loaded.
            self._loader.dress(result, wanted.card)
        self._arm(Item(result.cursor, wanted.loop, wanted.play_id, reason, at, wanted.request_id))

    def _arm(self, item: Item) -> None:
        replaced = self.picture.switch(item)
        if replaced is not None:
            self._drop(replaced.cursor)
        self._armed()
        self._crossfades.order(self.picture.item.cursor, item.cursor, item.at, partial(self._blended, item))

    def _blended(self, item: Item, blend: Blend) -> None:
        if item is self.picture.next:
            item.blend = blend

    def _failed(self, wanted: state.OnAir, reason: Reason, why: str, at: int) -> None:
        """The wanted loop can't be shown: its default is, when it would have been due."""
        self._retry_at = time.monotonic() + _RECOVER_SECONDS
        if reason == "recovered":
            return  # said before
        self._error(
            f"{Path(wanted.loop).name} can't be shown: {why}",
            {"loop": wanted.loop, "play_id": wanted.play_id, "request_id": wanted.request_id},
        )
        if wanted.loop == wanted.default:
            return
        following, self.picture.default = self.picture.default, None
        if following is not None:
            following.play_id, following.reason, following.at = wanted.play_id, "default", at
            following.request_id = wanted.request_id
            self._arm(following)
            self._load_default()
        else:
            self._instead = self._loader.fetch(Path(wanted.default), partial(self._default_instead, wanted, at))

    def _default_instead(self, wanted: state.OnAir, at: int, result: Loaded | Unplayable) -> None:
        if wanted is not self._wanted:
            if isinstance(result, Loaded):
                self._loader.release(result.cursor)
        elif isinstance(result, Loaded):
            self._loaded[result.cursor] = result
            self._arm(Item(result.cursor, wanted.default, wanted.play_id, "default", at, wanted.request_id))
        else:
            self._error(f"the default loop can't be shown: {result}", {"loop": wanted.default})
            self.picture.fall_back("neither it nor the default loop can be shown")

    def _load_default(self) -> None:
        """Keep the default loop at hand, its first GOPs in memory."""
        if self._default_ticket is not None:
            self._default_ticket.cancel()
        if self.picture.default is not None:
            self._drop(self.picture.default.cursor)
            self.picture.default = None
        path = Path(self._wanted.default)
        self._default_ticket = self._loader.fetch(path, self._default_fetched)

    def _default_fetched(self, result: Loaded | Unplayable) -> None:
        if isinstance(result, Unplayable):
            if self._wanted.loop != self._wanted.default:
                self._error(f"the default loop can't be shown: {result}", {"loop": self._wanted.default})
            return
        self._loaded[result.cursor] = result
        self.picture.default = Item(result.cursor, str(result.path), None, "default")

    def _on_air(self, item: Item) -> None:
        previous, self._shown = self._shown, item.cursor
        self._since = time.time()
        if isinstance(previous, Cursor) and previous is not item.cursor:
            self._drop(previous)
        if item.play_id == self._pending_play:
            self._pending_play = None
        self._switches += 1
        context = {"loop_path": item.loop, "play_id": item.play_id, "reason": item.reason}
        context["transition"] = transition = self._transition(item)
        context |= {"station": self._station.shortcode, "request_id": item.request_id}
        _log.info(
            "On the air: %s",
            Path(item.loop).name,
            extra={"context": context},
        )
        self._publish(
            "on_air",
            play_id=item.play_id,
            loop=item.loop,
            reason=item.reason,
            card=isinstance(item.cursor, Cursor) and item.cursor.dressed,
            transition=transition,
            publisher_pid=self._publisher_pid(),
            request_id=item.request_id,
        )

    def _transition(self, item: Item) -> str:
        """How it came on the air: cut, fade or crossfade."""
        if item.crossfaded:
            return "crossfade"
        return "fade" if isinstance(item.cursor, Cursor) and self._station.profile.fade_frames else "cut"

    def _lost(self, item: Item, why: str) -> None:
        """The loop on the air has no more frames: it is looked at again, and prepared again where it is damaged."""
        loaded = self._loaded.get(item.cursor) if isinstance(item.cursor, Cursor) else None
        if loaded is not None and item.cursor.failed is not None:
            self._loader.discard(loaded)
        self._error(
            f"{Path(item.loop).name} was lost on the air: {why}",
            {"loop": item.loop, "play_id": item.play_id, "request_id": item.request_id},
        )
        self._retry_at = time.monotonic() + _RECOVER_SECONDS
        if item.loop != self._wanted.default:
            self._reactor.post(self._load_default)

    def _looked(self, item: Item, loaded: Loaded, found: str | None) -> None:
        self._looking = False
        if item is not self.picture.item or self.picture.next is not None or found is None:
            return
        if found == "missing":
            self.picture.fall_back("its file was removed from the loops directory")
        elif item.loop == self._wanted.loop:
            _log.info("%s has changed and is loaded again", Path(item.loop).name)
            # Not looked at again: the new content comes on the air when it is ready, or is refused.
            self._loaded.pop(loaded.cursor, None)
            self._fetch("replaced", at=0)

    def _waiting(self, text: str) -> None:
        self._publish("error", severity="WARNING", message=text, context={})
        _log.warning(text)

    def _error(self, text: str, context: dict[str, Any]) -> None:
        self._publish("error", severity="ERROR", message=text, context=context)
        _log.error(text, extra={"context": context})

    def _drop(self, cursor: Cursor | Still) -> None:
        if isinstance(cursor, Cursor):
            self._loaded.pop(cursor, None)
            self._loader.release(cursor)
