"""Turns what `find` saw on a host into something that a file's wanted content can be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = """
name: sums
short_description: The files of a host by their paths, each with its mode and SHA-1
description:
  - One C(ansible.builtin.find) with C(get_checksum) tells of many files what asking one by one takes half a second
    each for. A file is as it should be where this says of its path C(0644 ) and the SHA-1 of its content.
  - What has no checksum, such as a directory, is left out.
options:
  _input:
    description: What C(find) registered.
    type: dict
    required: true
"""

RETURN = """
_value:
  description: By path the mode, a space and the SHA-1.
  type: dict
"""


def sums(found: Mapping[str, Any]) -> dict[str, str]:
    """By path: mode and SHA-1. Nothing of a `find` that was skipped."""
    files = found.get("files", ())
    return {file["path"]: f"{file['mode']} {file['checksum']}" for file in files if "checksum" in file}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"sums": sums}
