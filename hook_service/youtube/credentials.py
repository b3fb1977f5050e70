"""The OAuth credentials of one destination: a JSON object in a credential file.

`{"client_id": …, "client_secret": …, "refresh_token": …}`, which is what `hook_service.youtube.authorise` writes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields

_TOKEN = re.compile(r"[!-~]{1,2048}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a refresh token is exchanged with for an access token. Nothing of it is ever shown."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


NAMES = tuple(field.name for field in fields(Credentials))


def parse(text: str) -> Credentials:
    """The credentials in a file's text; raises ValueError, whose text holds none of them."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON; write it with hook_service.youtube.authorise") from None
    found = {name: document.get(name) if isinstance(document, dict) else None for name in NAMES}
    for name, value in found.items():
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise ValueError(f"has no usable {name}; write it with hook_service.youtube.authorise")
    return Credentials(**{name: str(value) for name, value in found.items()})
