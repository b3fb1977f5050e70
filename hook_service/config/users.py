"""The users of the page, as the credential file `page-users` has them: YAML, by name their role and password's hash.

    ada: {role: operator, password: "scrypt:32768:8:1$SALT$HASH"}

Hashes are those of `werkzeug.security.generate_password_hash`, with its parameters and no others: whoever writes
larger ones would decide how much memory a wrong password takes.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

Role = Literal["operator", "viewer"]
METHOD: Final = "scrypt:32768:8:1"
_HASH: Final = rf"^{re.escape(METHOD)}\$[A-Za-z0-9]{{8,64}}\$[0-9a-f]{{128}}$"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]


class User(BaseModel):
    """Someone who may sign in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    password: Annotated[str, StringConstraints(pattern=_HASH)]


_USERS: Final = TypeAdapter(dict[Name, User])


def parse(text: str | None) -> dict[str, User]:
    """The users by name; none for no file. Raises ValueError, which says what is wrong but none of the hashes."""
    try:
        return dict(_USERS.validate_python(yaml.safe_load(text or "") or {}))
    except yaml.YAMLError:
        raise ValueError("is not YAML") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        raise ValueError(f"{where or 'as a whole'}: {_WORDS.get(where.rpartition('.')[2], fault['msg'])}") from None


_WORDS: Final = {
    "role": "role is operator or viewer",
    "password": f"password is a hash that begins with {METHOD}$",
}
