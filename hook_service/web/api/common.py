"""What the API's routes share: the services, answers as JSON, problems."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Response, current_app

from hook_service.observe.metrics import is_wanted
from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.web.asking import asking as asking  # noqa: PLC0414 - for the API's modules, beside the rest
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from hook_service.store.paging import Page
    from hook_service.web.app import Services


def the_services() -> Services:
    """What the routes work with."""
    services: Services = current_app.extensions["radio"]
    return services


def answer(document: Any, status: int = 200) -> Response:
    """A JSON document, with no key of the host in it."""
    text = json.dumps(document, default=_plain)
    # Processes keep keys out of what they tell; this is the second lock on that door.
    services = current_app.extensions.get("radio")
    for key in services.keys if services else ():
        text = text.replace(key, "***")
    return Response(text + "\n", status, mimetype="application/json")


def page(page: Page) -> Response:
    """A page of a list."""
    return answer({"items": page.items, "next": page.next})


def fault(field: str, reason: str) -> Problem:
    """422 for one field, to be raised."""
    return Problem(
        422,
        "Something in the request is not as it must be; see errors.",
        errors=[{"field": field, "reason": reason}],
    )


def loop_of(services: Services, field: str, name: str) -> str:
    """The path of a loop that `field` of a request names. Raises Problem for one outside the directory."""
    try:
        return loop_path(str(services.host.paths.loops), name)
    except LoopNameError as error:
        raise fault(field, str(error)) from None


def process_of(process: dict[str, Any]) -> dict[str, Any]:
    """A process as the API shows it, of what its supervisor tells."""
    since = process.get("since")
    return {
        "name": process.get("name"),
        "state": process.get("state"),
        "wanted": is_wanted(process),
        "pid": process.get("pid"),
        "restarts": process.get("restarts") or 0,
        "since": datetime.fromtimestamp(since, UTC) if since else None,
        "last_error": process.get("last_error"),
    }


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
