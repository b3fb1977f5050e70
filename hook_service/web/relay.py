"""What nginx-rtmp's `/stat` says of the streams it receives."""

from __future__ import annotations

import http.client
from xml.parsers import expat

MAX_BYTES = 2 * 1024 * 1024


class RelayDown(Exception):
    """The relay's statistics can't be had; the message says why."""


def bytes_in(address: str, timeout: float = 1.0) -> dict[str, int]:
    """The bytes received so far, by stream name, of all streams at the relay (`host:port`). Raises RelayDown."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", "/stat")
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise RelayDown(f"{type(error).__name__} at the relay's statistics") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK or len(body) > MAX_BYTES:
        raise RelayDown(f"the relay's statistics answer {answer.status} with {len(body)} bytes")
    return parse(body)


def parse(document: bytes) -> dict[str, int]:
    """Stream name to received bytes. A name under several applications has the sum. Raises RelayDown.

    Stream names come from whoever publishes, so nothing of the document is trusted: a document type or an entity
    in it, which nginx-rtmp never writes, ends the parsing.
    """
    found: dict[str, int] = {}
    path: list[str] = []
    text: list[str] = []
    name = ""

    def refuse(*_: object) -> None:
        raise RelayDown("the relay's statistics declare entities")

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal name
        path.append(tag)
        text.clear()
        if tag == "stream":
            name = ""

    def end(tag: str) -> None:
        nonlocal name
        path.pop()
        # A client of the stream has a name and bytes of its own, one level deeper.
        if path and path[-1] == "stream":
            if tag == "name":
                name = "".join(text)
            elif tag == "bytes_in":
                value = "".join(text).strip()
                if name and value.isdigit():
                    found[name] = found.get(name, 0) + int(value)
        text.clear()

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise RelayDown(f"the relay's statistics are not XML ({error})") from error
    return found
