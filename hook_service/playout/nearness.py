"""How near an address is to this host. Pure, and by hand: the standard module for it would hold half a megabyte."""

from __future__ import annotations

import socket
from typing import Final

HOST: Final = 0
LINK: Final = 1
NETWORK: Final = 2
WORLD: Final = 3

_V4 = (
    (b"\x00", 8, HOST),  # "this host": Linux takes it for the loopback
    (b"\x7f", 8, HOST),
    (b"\xa9\xfe", 16, LINK),
    (b"\x0a", 8, NETWORK),
    (b"\xac\x10", 12, NETWORK),
    (b"\xc0\xa8", 16, NETWORK),
    (b"\x64\x40", 10, NETWORK),  # a provider's own (RFC 6598)
)
_V6 = ((b"\xfe\x80", 10, LINK), (b"\xfc", 7, NETWORK))
# IPv4 in IPv6: mapped (RFC 4291), and through NAT64 (RFC 6052).
_V4_WITHIN = (b"\0" * 10 + b"\xff\xff", b"\0\x64\xff\x9b" + b"\0" * 8)


def nearness(address: str) -> int:
    """HOST, LINK (link-local: a cloud's metadata service is there), NETWORK (private) or WORLD.

    `address` is numeric, as getaddrinfo gives it. Raises OSError for anything else.
    """
    if ":" not in address:
        return _of(socket.inet_pton(socket.AF_INET, address), _V4)
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    if packed[:12] in _V4_WITHIN:
        return _of(packed[12:], _V4)
    if packed[:15] == bytes(15):
        return HOST
    return _of(packed, _V6)


def may_lead(nearest: int, address: str) -> bool:
    """Whether a server as near as `nearest` may redirect to `address`.

    Only to what it could be thought to reach itself: else whoever runs a mount could have this host ask its own
    services, or those beside it, for something. Never to a link-local address, which nobody broadcasts from.
    """
    where = nearness(address)
    return where >= nearest and where != LINK


def _of(packed: bytes, ranges: tuple[tuple[bytes, int, int], ...]) -> int:
    number = int.from_bytes(packed, "big")
    for start, bits, what in ranges:
        shift = len(packed) * 8 - bits
        if number >> shift == int.from_bytes(start.ljust(len(packed), b"\0"), "big") >> shift:
            return what
    return WORLD
