"""A player of RTMP: it takes each message as the server sends it, with its exact time, and changes nothing.

FFmpeg as the reader would repair what the tests look for: its muxer replaces timestamps that step back.
Adobe's RTMP specification 1.0; extended timestamps are repeated in continuation chunks, as every server does.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from tests.rig.flvread import AUDIO, SCRIPT, VIDEO, Tag

_SET_CHUNK_SIZE, _ACKNOWLEDGE, _USER_CONTROL, _WINDOW, _COMMAND = 1, 3, 4, 5, 20
_EXTENDED = 0xFFFFFF


class RtmpError(OSError):
    """The server refused, closed, or sent what is not RTMP."""


def amf(*values: object) -> bytes:
    """AMF0 of numbers, booleans, strings, None and flat dictionaries."""
    out = b""
    for value in values:
        if isinstance(value, bool):
            out += b"\x01" + bytes([value])
        elif isinstance(value, int | float):
            out += b"\x00" + struct.pack(">d", value)
        elif isinstance(value, str):
            out += b"\x02" + struct.pack(">H", len(value.encode())) + value.encode()
        elif value is None:
            out += b"\x05"
        elif isinstance(value, dict):
            pairs = (struct.pack(">H", len(key.encode())) + key.encode() + amf(item) for key, item in value.items())
            out += b"\x03" + b"".join(pairs) + b"\x00\x00\x09"
        else:
            raise TypeError(f"no AMF0 for {value!r}")
    return out


@dataclass(slots=True)
class _Chunks:
    """One chunk stream's state, and the message that is being put together in it."""

    time: int = 0
    delta: int = 0
    length: int = 0
    kind: int = 0
    stream: int = 0
    extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class Demuxer:
    """Bytes in, messages out."""

    def __init__(self) -> None:
        self.chunk_size = 128
        self._buffer = bytearray()
        self._streams: dict[int, _Chunks] = {}

    def feed(self, data: bytes) -> Iterator[Tag]:
        """The messages that are complete with this; `Tag.kind` is the RTMP message type."""
        self._buffer += data
        position = 0
        while (step := self._chunk(position)) is not None:
            position, message = step
            if message is None:
                continue
            if message.kind == _SET_CHUNK_SIZE:
                self.chunk_size = int.from_bytes(message.body[:4], "big") & 0x7FFFFFFF
            yield message
        del self._buffer[:position]

    def _chunk(self, at: int) -> tuple[int, Tag | None] | None:
        """Read one chunk; where it ends and the message it completes. None when it is not all there yet."""
        buffer = self._buffer
        if at >= len(buffer):
            return None
        form, number = buffer[at] >> 6, buffer[at] & 0x3F
        at += 1
        if number < 2:
            more = number + 1
            if at + more > len(buffer):
                return None
            number = 64 + int.from_bytes(buffer[at : at + more], "little")
            at += more
        size = (11, 7, 3, 0)[form]
        if at + size > len(buffer):
            return None
        head = bytes(buffer[at : at + size])
        at += size
        known = self._streams.get(number)
        if known is None:
            if form != 0:
                raise RtmpError(f"chunk stream {number} begins with a header of form {form}")
            known = _Chunks()
        value = int.from_bytes(head[:3], "big")
        extended = known.extended if form == 3 else value == _EXTENDED
        if extended:
            if at + 4 > len(buffer):
                return None
            value = int.from_bytes(buffer[at : at + 4], "big")
            at += 4
        length = int.from_bytes(head[3:6], "big") if form < 2 else known.length
        part = min(self.chunk_size, length - len(known.body))
        if at + part > len(buffer):
            return None
        # Nothing was changed until here, so that an incomplete chunk can be read again from its first byte.
        self._streams[number] = known
        begins = not known.body
        known.extended = extended
        if form < 2:
            known.length, known.kind = length, head[6]
        if form == 0:
            known.time, known.delta = value, 0
            known.stream = int.from_bytes(head[7:11], "little")
        elif begins:
            if form < 3:
                known.delta = value
            known.time = (known.time + known.delta) & 0xFFFFFFFF
        known.body += buffer[at : at + part]
        at += part
        if len(known.body) < known.length:
            return at, None
        message = Tag(known.kind, known.time, bytes(known.body))
        known.body.clear()
        return at, message


class Player:
    """Plays one stream. `for arrived, tag in player:` gives audio, video and metadata; ends when the server closes.

    `arrived` is time.time() when the message's last byte was there. Raises RtmpError, and TimeoutError when
    nothing at all comes for `timeout` seconds.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        self.app, _, self.stream = parts.path.lstrip("/").partition("/")
        if parts.scheme != "rtmp" or not parts.hostname or not self.stream:
            raise ValueError(f"not rtmp://host:port/app/stream: {url}")
        self.timeout = timeout
        self._server = (parts.hostname, parts.port or 1935)
        self._demuxer = Demuxer()
        self._received = self._acknowledged = 0
        self._window = 2_500_000
        self.socket = socket.create_connection(self._server, timeout=timeout)

    def __enter__(self) -> Self:
        self._handshake()
        self._send(_SET_CHUNK_SIZE, (65536).to_bytes(4, "big"))
        target = f"rtmp://{self._server[0]}:{self._server[1]}/{self.app}"
        self._send(_COMMAND, amf("connect", 1, {"app": self.app, "tcUrl": target, "fpad": False}))
        self._send(_COMMAND, amf("createStream", 2, None))
        # nginx-rtmp numbers its only stream 1; any other server would have to be asked.
        self._send(_COMMAND, amf("play", 3, None, self.stream, -2000), stream=1)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __iter__(self) -> Iterator[tuple[float, Tag]]:
        while data := self.socket.recv(262144):
            arrived = time.time()
            self._received += len(data)
            for message in self._demuxer.feed(data):
                if message.kind in (AUDIO, VIDEO, SCRIPT):
                    yield arrived, message
                else:
                    self._control(message)
            if self._received - self._acknowledged > self._window // 2:
                self._acknowledged = self._received
                self._send(_ACKNOWLEDGE, (self._received & 0xFFFFFFFF).to_bytes(4, "big"))

    def _control(self, message: Tag) -> None:
        if message.kind == _WINDOW:
            self._window = int.from_bytes(message.body[:4], "big")
        elif message.kind == _USER_CONTROL and message.body[:2] == b"\x00\x06":  # ping
            self._send(_USER_CONTROL, b"\x00\x07" + message.body[2:])
        elif message.kind == _COMMAND and (
            b"_error" in message.body[:16] or b"NetStream.Play.Failed" in message.body
        ):
            raise RtmpError(f"the server refused to play {self.stream}: {message.body!r}")

    def _handshake(self) -> None:
        hello = b"\0" * 8 + os.urandom(1528)
        self.socket.sendall(b"\x03" + hello)
        answer = self._exactly(1 + 2 * 1536)
        if answer[0] != 3:
            raise RtmpError(f"no RTMP server: it begins with {answer[0]}")
        self.socket.sendall(answer[1:1537])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise RtmpError("the server hung up in the handshake")
            data += more
        return data

    def _send(self, kind: int, body: bytes, stream: int = 0) -> None:
        # One chunk each: our own chunk size is announced first, in a message of 4 bytes.
        head = b"\x03" + b"\0\0\0" + len(body).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little")
        self.socket.sendall(head + body)
