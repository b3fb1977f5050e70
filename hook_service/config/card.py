"""What the configuration says of a station's now-playing card."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from hook_service.config.values import Name, Section, Whole

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})(?::\d{1,5})?\Z|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?\Z")


class Card(Section):
    """Artist, title, album and cover over the loop.

    `template` is a design: one that ships, or one of the operator's own in `paths.cards`. Of a loop that is longer
    than `seconds` only the beginning carries it. `art_hosts` may give covers although their addresses are private.
    """

    template: Name
    seconds: Whole = Field(16, ge=4, le=120)
    art_hosts: list[str] = Field(default_factory=list)

    @field_validator("art_hosts")
    @classmethod
    def _hosts(cls, value: list[str]) -> list[str]:
        for host in value:
            if not _HOST.match(host):
                raise ValueError(f"{host!r} is not a host; write art.example.org, or art.example.org:8080")
        return [host.lower() for host in value]
