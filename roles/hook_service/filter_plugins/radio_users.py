"""Turns the page's users, as the inventory has them, into what the service is given: hashes instead of passwords."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError  # type: ignore[import-untyped]

DOCUMENTATION = """
name: radio_users
short_description: The page's users with hashes instead of passwords
description:
  - Hashes passwords on the control machine as C(werkzeug.security) does, so that no password is ever on a host.
  - The salt follows from the session key and the user's name, so that a second run changes nothing, and nobody can
    compute hashes ahead of time.
options:
  _input:
    description: By name C(role), which is C(operator) or C(viewer), and C(password).
    type: dict
    required: true
  session_key:
    description: The key that signs sessions.
    type: str
    required: true
"""

RETURN = """
_value:
  description: The same with hashes.
  type: dict
"""

N, R, P = 32768, 8, 1


def radio_users(users: Mapping[str, Any], session_key: str) -> dict[str, dict[str, str]]:
    """By name: `role`, and the password's hash."""
    if not session_key:
        raise AnsibleFilterError("hook_service_session_key is empty; `openssl rand -hex 24` makes one")
    return {
        str(name): {"role": str(user["role"]), "password": _hashed(str(name), str(user["password"]), session_key)}
        for name, user in users.items()
    }


def _hashed(name: str, password: str, key: str) -> str:
    salt = hmac.new(key.encode(), f"page-user {name}".encode(), hashlib.sha256).hexdigest()[:16]
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=N, r=R, p=P, maxmem=132 * N * R * P)
    return f"scrypt:{N}:{R}:{P}${salt}${digest.hex()}"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"radio_users": radio_users}
