"""Playing a stream of an RTMP server: bytes in, messages out, and what is to be sent. No socket in here.

Adobe's "RTMP Specification" 1.0, as far as a player needs it: the simple handshake, chunks, and the three commands
from `connect` to `play`. What comes is believed only within limits: a server gone mad costs a connection.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

AUDIO, VIDEO = 8, 9

_SET_CHUNK_SIZE, _ABORT, _ACKNOWLEDGE, _USER_CONTROL, _WINDOW, _COMMAND = 1, 2, 3, 4, 5, 20
_PING_REQUEST, _PING_RESPONSE = 6, 7
_EXTENDED = 0xFFFFFF
_HEADER_SIZES = (11, 7, 3, 0)
_VERSION, _HANDSHAKE = 3, 1536
# A server uses four or five; each may hold a message that is not whole yet.
_STREAMS_LIMIT = 64
# No frame of any profile comes near this; the relay itself refuses more than 8 MB.
_MESSAGE_LIMIT = 12 << 20
# nginx-rtmp numbers the only stream of a connection 1.
_STREAM = 1
_OUR_CHUNK_SIZE = 65536


class RtmpError(Exception):
    """The server refused, or sent what is not RTMP."""


class Message(NamedTuple):
    """A whole message: its type, its time (ms, 32 bits), and its body."""

    kind: int
    ms: int
    body: bytes


class _Stream:
    """A chunk stream: the header that its next chunk may leave out, and the message that is being put together."""

    __slots__ = ("body", "delta", "extended", "kind", "length", "ms")

    def __init__(self) -> None:
        self.ms = self.delta = self.length = self.kind = 0
        self.extended = False
        self.body = bytearray()


class _Header(NamedTuple):
    """A chunk's header; `end` is where its data begins. What it leaves out (see `form`) is 0."""

    form: int
    number: int
    time: int
    length: int
    kind: int
    extended: bool
    end: int


class Demuxer:
    """Chunks in, messages out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._chunk_size = 128
        self._streams: dict[int, _Stream] = {}

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole with this. Raises RtmpError, and is of no use after that."""
        self._buffer += data
        found: list[Message] = []
        at = 0
        while (header := self._header(at)) is not None and (end := self._chunk(header, found)) is not None:
            at = end
        del self._buffer[:at]
        return found

    def _header(self, at: int) -> _Header | None:
        """The header at `at`, or None while it is not all there."""
        buffer = self._buffer
        have = len(buffer)
        if at >= have:
            return None
        form, number = buffer[at] >> 6, buffer[at] & 63
        at += 1
        if number < 2:  # numbers from 64 on have one or two bytes of their own
            more = at + number + 1
            if more > have:
                return None
            number, at = 64 + int.from_bytes(buffer[at:more], "little"), more
        fields, at = at, at + _HEADER_SIZES[form]
        time = int.from_bytes(buffer[fields : fields + 3], "big") if form < 3 else 0
        extended = time == _EXTENDED if form < 3 else number in self._streams and self._streams[number].extended
        if extended:
            time, at = int.from_bytes(buffer[at : at + 4], "big"), at + 4
        if at > have:
            return None
        if form >= 2:
            return _Header(form, number, time, 0, 0, extended, at)
        length = int.from_bytes(buffer[fields + 3 : fields + 6], "big")
        return _Header(form, number, time, length, buffer[fields + 6], extended, at)

    def _chunk(self, header: _Header, found: list[Message]) -> int | None:
        """Take the chunk behind a header; where it ends, or None (and nothing changed) while it is not all there."""
        form, number, time, length, kind, extended, at = header
        stream = self._streams.get(number)
        if stream is None:
            if form or len(self._streams) >= _STREAMS_LIMIT:
                raise RtmpError(f"chunk stream {number} begins with a header of form {form}")
            stream = _Stream()
        begins = not stream.body
        if form >= 2:
            length, kind = stream.length, stream.kind
        elif length > _MESSAGE_LIMIT or not begins:
            raise RtmpError(f"a message of {length} bytes, {len(stream.body)} bytes after the last one began")
        end = at + min(self._chunk_size, length - len(stream.body))
        if end > len(self._buffer):
            return None
        self._streams[number] = stream
        stream.length, stream.kind, stream.extended = length, kind, extended
        if form == 0:
            stream.ms, stream.delta = time, 0
        elif begins:
            stream.delta = time if form < 3 else stream.delta
            stream.ms = (stream.ms + stream.delta) & 0xFFFFFFFF
        stream.body += memoryview(self._buffer)[at:end]
        if len(stream.body) == length:
            body, stream.body = bytes(stream.body), bytearray()
            self._whole(Message(kind, stream.ms, body), found)
        return end

    def _whole(self, message: Message, found: list[Message]) -> None:
        if message.kind == _SET_CHUNK_SIZE:
            self._chunk_size = int.from_bytes(message.body[:4], "big") & 0x7FFFFFFF
            if not self._chunk_size:
                raise RtmpError("chunks of no bytes")
        elif message.kind == _ABORT:
            stream = self._streams.get(int.from_bytes(message.body[:4], "big"))
            if stream is not None:
                stream.body = bytearray()
        else:
            found.append(message)


class Player:
    """The player's side of one connection: give it what comes, and send what `take` gives."""

    def __init__(self, address: str, app: str, stream: str) -> None:
        """`address` is host:port of the server."""
        self._address, self._app, self._name = address, app, stream
        self._demuxer = Demuxer()
        self._greeting: bytearray | None = bytearray()
        self._received = self._acknowledged = 0
        self._window = 2_500_000
        self._out = [b"\x03" + b"\0" * 8 + os.urandom(_HANDSHAKE - 8)]

    def take(self) -> bytes:
        """What is to be sent now."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def feed(self, data: bytes) -> list[Message]:
        """The sound and the pictures that are whole with this, in order. Raises RtmpError."""
        if self._greeting is not None:
            self._greeting += data
            if self._greeting and self._greeting[0] != _VERSION:
                raise RtmpError(f"no RTMP server: it begins with {self._greeting[0]}")
            if len(self._greeting) < 1 + 2 * _HANDSHAKE:
                return []
            data, theirs = bytes(self._greeting[1 + 2 * _HANDSHAKE :]), bytes(self._greeting[1 : 1 + _HANDSHAKE])
            self._greeting = None
            self._ask(theirs)
        self._received += len(data)
        found = []
        for message in self._demuxer.feed(data):
            if message.kind in (AUDIO, VIDEO):
                found.append(message)
            else:
                self._control(message)
        if self._received - self._acknowledged > self._window // 2:
            self._acknowledged = self._received
            self._send(_ACKNOWLEDGE, (self._received & 0xFFFFFFFF).to_bytes(4, "big"))
        return found

    def _ask(self, theirs: bytes) -> None:
        self._out.append(theirs)
        self._send(_SET_CHUNK_SIZE, _OUR_CHUNK_SIZE.to_bytes(4, "big"))
        about = {"app": self._app, "tcUrl": f"rtmp://{self._address}/{self._app}"}
        self._send(_COMMAND, amf("connect", 1.0, about))
        self._send(_COMMAND, amf("createStream", 2.0, None))
        # -2000: what is live, and wait for it where nothing is.
        self._send(_COMMAND, amf("play", 3.0, None, self._name, -2000.0), _STREAM)

    def _control(self, message: Message) -> None:
        body = message.body
        if message.kind == _WINDOW:
            self._window = int.from_bytes(body[:4], "big")
        elif message.kind == _USER_CONTROL and int.from_bytes(body[:2], "big") == _PING_REQUEST:
            self._send(_USER_CONTROL, _PING_RESPONSE.to_bytes(2, "big") + body[2:6])
        elif message.kind == _COMMAND and (
            body.startswith(amf("_error")) or (body.startswith(amf("onStatus")) and amf("error") in body)
        ):
            raise RtmpError(f"the server refused to play {self._name}")

    def _send(self, kind: int, body: bytes, stream: int = 0) -> None:
        # Each fits into one chunk: the size of ours is told first, in a message of 4 bytes.
        head = b"\x03\0\0\0" + len(body).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little")
        self._out.append(head + body)


def amf(*values: float | str | dict[str, str] | None) -> bytes:
    """AMF0 of numbers, strings, None and flat objects of strings."""
    out = b""
    for value in values:
        if value is None:
            out += b"\x05"
        elif isinstance(value, dict):
            out += b"\x03" + b"".join(_text(key) + amf(text) for key, text in value.items()) + b"\0\0\x09"
        elif isinstance(value, str):
            out += b"\x02" + _text(value)
        else:
            out += b"\x00" + struct.pack(">d", value)
    return out


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded
