"""Who changed what: a line of the log and a row of the audit log for everything that a person does."""

from __future__ import annotations

import logging
import time
from typing import Any
from uuid import uuid4

from flask import current_app, g, request

from hook_service.store import records

log = logging.getLogger("radio.audit")


def record(action: str, *, station: str | None = None, **details: Any) -> None:
    """Write down that who sent this request did it. No station: it concerns the host.

    `action` is SUBJECT.VERB, as in "station.switch" or "loop.delete"; `details` are what JSON can hold, no secret
    among them. To be called once it was done. The row waits in the outbox while the database is away.
    """
    context = {"actor": g.actor.name, "action": action, "station": station, "request_id": g.request_id}
    log.info("Done by hand", extra={"context": {**context, "details": details}})
    body = records.audit(
        uuid4(),
        time.time(),
        actor=g.actor.name,
        action=action,
        station=station,
        address=request.remote_addr,
        request_id=g.request_id,
        details=details,
    )
    current_app.extensions["radio"].store.outbox.note(records.AUDIT, body)
