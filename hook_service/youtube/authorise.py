"""Gets the authorisation to ask YouTube about a channel: `python -m hook_service.youtube.authorise CLIENT.json`.

OAuth 2.0 for devices: this shows a code, somebody enters it in a browser, and this gets a refresh token for it. The
client's id and secret come from the file that Google's console offers for download, as a command line is visible to
everyone; the token goes into a file that only its owner can read, and is not shown.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from hook_service.web.httpget import Away
from hook_service.youtube import answers, credentials
from hook_service.youtube.answers import Refused
from hook_service.youtube.client import GOOGLE, Caller, Client, Endpoints
from hook_service.youtube.credentials import Credentials

READ: Final = "https://www.googleapis.com/auth/youtube.readonly"
CHANGE: Final = "https://www.googleapis.com/auth/youtube"
GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_DENIED: Final = "Google was told not to allow it; nothing has changed."
_LATE: Final = "the code was not entered in time; start again"


class Failed(Exception):
    """There is no authorisation; the text says why."""


def client_of(path: Path) -> tuple[str, str]:
    """Id and secret of an OAuth client, from the file that Google's console offers. Raises Failed."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise Failed(f"{path} can't be read as JSON; download it from Google's console, under Clients") from None
    found = document.get("installed", document) if isinstance(document, dict) else {}
    found = found if isinstance(found, dict) else {}
    name, secret = found.get("client_id"), found.get("client_secret")
    if not isinstance(name, str) or not isinstance(secret, str):
        raise Failed(f"{path} has no client_id and client_secret; is the client for TVs and limited input devices?")
    return name, secret


def authorise(client: tuple[str, str], scope: str, endpoints: Endpoints) -> Credentials:
    """Let somebody allow it in a browser. Raises Failed, and Away where Google can't be asked."""
    caller = Caller()
    asked = answers.document_of(caller.form(endpoints.device, {"client_id": client[0], "scope": scope}))
    code, shown, where = (asked.get(name) for name in ("device_code", "user_code", "verification_url"))
    if not all(isinstance(value, str) and value.isprintable() for value in (code, shown, where)):
        raise Failed("Google answers without a code")
    seconds = answers.number(asked.get("expires_in"), 1, 3600, 1800)
    interval = answers.number(asked.get("interval"), 1, 60, 5)
    print(f"Open {where} in any browser, enter the code {shown}, and choose the channel's account.")
    print(f"Waiting for it, {seconds / 60:.0f} minutes at most …", flush=True)
    deadline = time.monotonic() + seconds
    fields = {"client_id": client[0], "client_secret": client[1], "device_code": str(code), "grant_type": GRANT}
    while time.monotonic() < deadline:
        time.sleep(interval)
        try:
            token = answers.token(caller.form(endpoints.token, fields))
        except Refused as refused:
            interval += _longer(refused)
            continue
        if token.refresh is None:
            raise Failed("Google gave no refresh token; is the client for TVs and limited input devices?")
        return Credentials(client[0], client[1], token.refresh)
    raise Failed(_LATE)


def _longer(refused: Refused) -> float:
    """By how many seconds to ask less often (RFC 8628, 3.5); raises Failed where nothing is to be waited for."""
    if refused.reason in ("authorization_pending", "slow_down"):
        return 5.0 if refused.reason == "slow_down" else 0.0
    if refused.reason == "access_denied":
        raise Failed(_DENIED)
    if refused.reason in ("expired_token", "invalid_grant"):
        raise Failed(_LATE)
    raise refused


def main(argv: list[str] | None = None, endpoints: Endpoints = GOOGLE) -> int:
    """The command; 0 where there is an authorisation now."""
    parser = argparse.ArgumentParser(prog="python -m hook_service.youtube.authorise", description=__doc__)
    parser.add_argument("client", type=Path, help="the OAuth client's JSON file, from Google's console")
    parser.add_argument(
        "--rebind", action="store_true", help="allow making broadcasts too, for destinations that rebind"
    )
    parser.add_argument("--output", type=Path, default=Path("youtube.json"), help="where to; default: youtube.json")
    arguments = parser.parse_args(argv)
    try:
        found = authorise(client_of(arguments.client), CHANGE if arguments.rebind else READ, endpoints)
        _write(arguments.output, asdict(found))
        print(f"\n{arguments.output} holds the authorisation. Its three values belong into the vault:\n")
        print("  hook_service_youtube_credentials:\n    STATION:\n      DESTINATION:")
        print("".join(f"        {name}: …\n" for name in credentials.NAMES))
        print("Without Ansible: the file is the credential STATION.DESTINATION.youtube.")
        print(f"Then remove {arguments.output}.\n")
        print("The destination's settings get `youtube: {stream: ID}`, with the id of its stream:\n")
        for stream in Client(found, endpoints).streams():
            print(f"  {stream.id}  {stream.title}  ({stream.status})")
    except Away as away:
        print(f"Google {away}", file=sys.stderr)
        return 1
    except (Failed, OSError) as failed:
        print(failed, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _write(path: Path, document: dict[str, Any]) -> None:
    """A file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
