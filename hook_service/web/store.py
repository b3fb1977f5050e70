"""The database's side of the web process: mappings in memory, records on their way, queries when they are asked."""

from __future__ import annotations

import logging
import math
import threading

from hook_service.config import Host
from hook_service.store import operators, records
from hook_service.store.outbox import Outbox
from hook_service.store.pool import DatabaseAway, Pool, open_pool
from hook_service.store.queries import Queries
from hook_service.store.snapshot import SnapshotKeeper
from hook_service.tracks.resolver import Resolver, StationDefaults
from hook_service.tracks.snapshot import Daypart
from hook_service.web.health import Storage
from hook_service.web.tokens import Tokens

log = logging.getLogger("radio.web")


class Store:
    """Everything that lasts. `start()` begins to follow the database, which may be away; `close()` ends it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        state = host.paths.state / "web"
        state.mkdir(parents=True, exist_ok=True)
        dsn = host.dsn()
        self.outbox = Outbox(state / "outbox.sqlite", dsn)
        # No station can be called so: each has a file of its name here.
        self.tokens = Tokens(state / "_tokens.json", self._token_used)
        self.keeper = SnapshotKeeper(dsn, state / "_mappings.json", {operators.CHANNEL: self.tokens.load})
        self._defaults = {
            shortcode: StationDefaults(
                default_loop=station.default_loop,
                timezone=station.timezone,
                dayparts=tuple(Daypart(part.from_, part.to, part.loop) for part in station.dayparts),
            )
            for shortcode, station in host.stations.items()
        }
        self._lock = threading.Lock()
        self._pool: Pool | None = None

    def start(self) -> None:
        """Follow the mappings and begin to carry records. Waits for the database, but not long."""
        self.keeper.start(timeout=0.5)
        self.outbox.start()

    def close(self) -> None:
        """Bring out what can be brought out at once; the rest stays on disk."""
        self.keeper.stop()
        self.outbox.close(timeout=1.0)
        with self._lock:
            if self._pool is not None:
                self._pool.close(timeout=1.0)

    def resolver(self) -> Resolver:
        """A resolver for the mappings as they are now."""
        return Resolver(self.keeper.current, str(self._host.paths.loops), self._defaults)

    def queries(self) -> Queries:
        """The API's queries."""
        return Queries(self.pool())

    def pool(self) -> Pool:
        """The API's connections. It is opened when the first is needed: most processes never need one."""
        with self._lock:
            if self._pool is None:
                self._pool = open_pool(self._host.dsn(), service="radio-web", max_size=2, timeout=3.0)
            return self._pool

    def purge(self) -> None:
        """Delete what is older than the configuration keeps; a database that is away is asked the next time."""
        database = self._host.database
        try:
            gone = self.queries().purge(database.history_days, database.error_days)
        except DatabaseAway as error:
            log.warning("Old rows not deleted", extra={"context": {"reason": str(error)}})
        else:
            log.info("Old rows deleted", extra={"context": gone})

    def _token_used(self, token_id: int, at: float) -> None:
        self.outbox.note(records.TOKEN_USED, records.token_used(token_id, at), dispensable=True)

    def state(self) -> Storage:
        """For `/health`."""
        age = self.keeper.age
        return Storage(
            database_up=self.keeper.healthy and self.outbox.healthy,
            outbox_pending=self.outbox.pending,
            snapshot_age=age if math.isfinite(age) else None,
        )
