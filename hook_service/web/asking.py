"""Asking the database on behalf of a request."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask import current_app

from hook_service.store.pool import DatabaseAway
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hook_service.store.queries import Queries
    from hook_service.web.app import Services


@contextmanager
def asking() -> Iterator[Queries]:
    """The queries, with their troubles as problems."""
    services: Services = current_app.extensions["radio"]
    try:
        yield services.store.queries()
    except DatabaseAway:
        raise Problem(503, "The database does not answer.", {"Retry-After": "5"}) from None
    except ValueError as error:
        raise Problem(422, str(error)) from None
