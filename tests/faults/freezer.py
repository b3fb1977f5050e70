#!/usr/bin/python3
"""An FFmpeg for a publisher whose picture freezes: before /usr/bin/ffmpeg on a host's PATH, on Python alone.

While /run/radio/freeze is there, the pictures that go in are those of one group of pictures, over and over, under the
times of the real ones. Everything else, and every other FFmpeg, is as ever.
"""

import os
import subprocess
import sys
from typing import IO

_FFMPEG = "/usr/bin/ffmpeg"
_FLAG = "/run/radio/freeze"
_VIDEO = 9


def _exactly(stream: IO[bytes], size: int) -> bytes | None:
    data = stream.read(size)
    return data if len(data) == size else None


def _pump(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy FLV, tag by tag."""
    target.write(source.read(13))
    last: list[bytes] = []  # the bodies of the whole group of pictures before this one
    group: list[bytes] = []
    place, frozen = 0, False
    while (head := _exactly(source, 11)) is not None:
        size = int.from_bytes(head[1:4], "big")
        rest = _exactly(source, size + 4)
        if rest is None:
            return
        body = rest[:size]
        if head[0] == _VIDEO and size > 5 and body[1] == 1:
            if body[0] >> 4 == 1:
                if not frozen and group:
                    last = group
                # Only here, so that what is shown can be decoded.
                frozen = bool(last) and os.path.exists(_FLAG)  # noqa: PTH110 - cheap, and thirty times a second
                group, place = [], 0
            if frozen:
                body = last[place % len(last)]
                place += 1
            else:
                group.append(body)
        tag = head[:1] + len(body).to_bytes(3, "big") + head[4:] + body + (len(body) + 11).to_bytes(4, "big")
        target.write(tag)
        target.flush()


def main() -> int:
    """As FFmpeg, with its exit status."""
    argv = sys.argv[1:]
    if "pipe:0" not in argv or not argv[-1].startswith("rtmp://127."):
        os.execv(_FFMPEG, ["ffmpeg", *argv])
    ffmpeg = subprocess.Popen([_FFMPEG, *argv], stdin=subprocess.PIPE, close_fds=False)
    assert ffmpeg.stdin is not None
    try:
        _pump(sys.stdin.buffer, ffmpeg.stdin)
        ffmpeg.stdin.close()
    except (KeyboardInterrupt, OSError):
        pass
    return ffmpeg.wait()


if __name__ == "__main__":
    sys.exit(main())
